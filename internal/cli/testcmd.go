package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/routetest"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func newTest(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "test FILE|DIR...",
		GroupID: groupFiles,
		Short:   "Run route tests: requests and where they should go",
		Long: `Runs the RouteTest documents in files and folders: each test is a request and what
should become of it. Decisions come from the same route tables and filters as in
the proxy; no port is opened and nothing is sent.

A RouteTest stands in a YAML file beside the configuration:

  apiVersion: gridway.dev/v1alpha1
  kind: RouteTest
  metadata: {name: canary}
  spec:
    config: [shop.yaml]   # relative to this file; default: the folder it is in
    tests:
    - name: testers see version 2
      request: {method: GET, url: "http://shop.example/reviews/1", headers: {X-Canary: always}}
      expect:
        route: reviews                  # also: rule, section
        backends: {reviews-v2: 100}     # or a list of names
        path: /1                        # also: host, query, requestHeaders (null: absent)
    - name: old bookmarks
      request: {url: "http://shop.example/shop/1"}
      expect: {status: 301, redirect: "http://shop.example/products/1"}

Also expected can be: reason, body and responseHeaders of a reply, mirrors,
timeout and retries. Exits with 1 if a test fails.`,
		Example: lines("gridway test examples/", "gridway test --run canary routes.test.yaml", "gridway test config/ --junit report.xml"),
		Args:    minArgs(1, "at least one file or folder"),
	}
	out := outputFlag(cmd)
	junit := cmd.Flags().String("junit", "", "also write a JUnit report to this file")
	run := cmd.Flags().String("run", "", "only tests whose name holds this")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list tests that pass too")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		suites, problems, err := findSuites(args)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			printProblems(t, problems, nil)
			return fmt.Errorf("%s in route tests", excerpt.Count(len(problems), "error"))
		}
		if len(suites) == 0 {
			return hintError{Err: fmt.Errorf("no RouteTest documents in %s", strings.Join(args, ", ")), Hint: `"gridway test --help" shows one`}
		}
		report, err := runSuites(t, suites, *run)
		if err != nil {
			return err
		}
		if *junit != "" {
			if err := report.WriteJUnit(*junit); err != nil {
				return err
			}
		}
		if *out != term.TableFormat {
			err = out.Write(t.Out, report)
		} else {
			printReport(t, report, *verbose)
		}
		if err == nil && report.Failed > 0 {
			return errProblems
		}
		return err
	}
	return cmd
}

// findSuites reads every RouteTest under the paths.
func findSuites(paths []string) (suites []*routetest.Suite, problems []store.Problem, err error) {
	for _, root := range paths {
		walkErr := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != "." && d.Name() != ".." {
					return filepath.SkipDir
				}
				return nil
			}
			if ext := filepath.Ext(path); path != root && ext != ".yaml" && ext != ".yml" && ext != ".json" {
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil || !routetest.IsTest(content) {
				return err
			}
			s, p := routetest.Parse(path, content)
			suites, problems = append(suites, s...), append(problems, p...)
			return nil
		})
		if walkErr != nil {
			if errors.Is(walkErr, fs.ErrNotExist) {
				walkErr = hintError{Err: fmt.Errorf("%s: there is no such file or folder", root), Hint: "give files or folders that exist"}
			}
			return nil, nil, walkErr
		}
	}
	return suites, problems, nil
}

// runSuites decides every case. Configurations are read once for all suites
// that share them.
func runSuites(t *term.Terminal, suites []*routetest.Suite, only string) (*routetest.Report, error) {
	tables := map[string]*dryrun.Table{}
	report := &routetest.Report{Started: time.Now()}
	for _, s := range suites {
		key := strings.Join(s.Config, "\x00")
		table, ok := tables[key]
		if !ok {
			var err error
			if table, _, err = readTable(t, s.Config); err != nil {
				return nil, fmt.Errorf("%s: %w", s.File, err)
			}
			tables[key] = table
		}
		for _, c := range s.Cases {
			if only != "" && !strings.Contains(strings.ToLower(c.Name), strings.ToLower(only)) {
				continue
			}
			began := time.Now()
			r := runCase(table, s, &c)
			r.Took = time.Since(began)
			report.Add(r)
		}
	}
	return report, nil
}

func runCase(table *dryrun.Table, s *routetest.Suite, c *routetest.Case) routetest.Result {
	r := routetest.Result{Suite: s.Name, Name: c.Name, Method: c.Request.Method, URL: c.Request.URL, Position: c.Position.String()}
	req := dryrun.Request{Method: c.Request.Method, URL: c.Request.URL, Listener: c.Request.Listener, Client: c.Request.Client}
	for name, value := range c.Request.Headers {
		req.Headers = append(req.Headers, ir.Header{Name: name, Value: value})
	}
	slices.SortFunc(req.Headers, func(a, b ir.Header) int { return strings.Compare(a.Name, b.Name) })
	if file := c.Request.ClientCertificate; file != "" {
		if err := (&caller{certificate: file}).fill(&req, nil); err != nil {
			r.Error = err.Error()
			return r
		}
	}
	d, err := table.Outcome(req)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Mismatches = routetest.Compare(&c.Expect, d)
	for i := range r.Mismatches {
		r.Mismatches[i].Position = c.Locate("expect." + r.Mismatches[i].Field).String()
	}
	r.OK = len(r.Mismatches) == 0
	return r
}

func printReport(t *term.Terminal, r *routetest.Report, verbose bool) {
	for _, c := range r.Results {
		if c.OK {
			if verbose {
				t.Printf("%s %s: %s\n", term.Paint("ok  ", term.Good), c.Suite, c.Name)
			}
			continue
		}
		t.Printf("%s %s: %s\n", term.Paint("FAIL", term.Bad), c.Suite, term.Paint(c.Name, term.Bold))
		t.Printf("     %s  %s\n", c.Method+" "+c.URL, term.Paint(c.Position, term.Place))
		if c.Error != "" {
			t.Printf("     %s\n\n", c.Error)
			continue
		}
		table := term.NewTable("", "wanted", "got", "").Indent("     ")
		for _, m := range c.Mismatches {
			table.Row(m.Field, term.Paint(m.Want, term.Good), term.Paint(m.Got, term.Bad), term.Paint(m.Position, term.Place))
		}
		t.Printf("%s\n", table)
	}
	mark := term.Paint("ok", term.Good)
	if r.Failed > 0 {
		mark = term.Paint("failed", term.Bad)
	}
	summary := fmt.Sprintf("%s: %s", mark, excerpt.Count(len(r.Results), "test"))
	if r.Failed > 0 {
		summary += fmt.Sprintf(", %d failed", r.Failed)
	}
	t.Printf("%s\n", summary)
}
