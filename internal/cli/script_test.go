package cli_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gridway/gridway/internal/cli"
	"github.com/gridway/gridway/internal/testport"
)

var update = flag.Bool("update", false, "write what commands print now into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gridway": func() { os.Exit(cli.Main(os.Args[1:])) },
	})
}

// TestScripts runs testdata/*.txtar. Beside testscript's own commands there are
//
//	port NAME...           sets $NAME to a free port
//	backend NAME PORTVAR   starts a server that answers "NAME METHOD PATH"
//	eventually REGEXP CMD  repeats a gridway command until its output matches
//	control                starts the admin API of a control plane of a mesh
//	get STATUS URL [REGEXP] repeats a GET until status and body match
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Setenv("HOME", e.WorkDir)
			examples, err := filepath.Abs("../../examples")
			if err != nil {
				return err
			}
			e.Setenv("EXAMPLES", examples)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"port": cmdPort, "backend": cmdBackend, "eventually": cmdEventually, "get": cmdGet, "expand": cmdExpand, "control": cmdControl,
		},
	})
}

func cmdPort(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		port, free, err := testport.Take()
		ts.Check(err)
		ts.Defer(free)
		ts.Setenv(name, fmt.Sprint(port))
	}
}

func cmdBackend(ts *testscript.TestScript, _ bool, args []string) {
	name, variable := args[0], args[1]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s\n", name, r.Method, r.URL.Path)
	}))
	ts.Defer(s.Close)
	ts.Setenv(variable, strings.TrimPrefix(s.URL, "http://127.0.0.1:"))
}

// cmdExpand replaces $NAME in files by the environment.
func cmdExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

const patience = 45 * time.Second

// poll calls f until it is true.
func poll(ts *testscript.TestScript, what func() string, f func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("never came true; last: %s", what())
		}
	}
}

func cmdEventually(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	var out bytes.Buffer
	var env []string
	for _, name := range []string{"GRIDWAY_ADMIN", "GRIDWAY_TOKEN", "GRIDWAY_CERT", "GRIDWAY_KEY"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	poll(ts, out.String, func() bool {
		out.Reset()
		cli.Run(context.Background(), args[2:], cli.Streams{
			In: strings.NewReader(""), Out: &out, Err: &out, Env: env,
		})
		return want.MatchString(out.String())
	})
}

func cmdGet(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("")
	if len(args) > 2 {
		want = regexp.MustCompile(args[2])
	}
	last := ""
	poll(ts, func() string { return last }, func() bool {
		req, err := http.NewRequest("GET", args[1], nil)
		if err != nil {
			ts.Fatalf("%v", err)
		}
		for _, h := range args[min(3, len(args)):] {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Add(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		last = fmt.Sprintf("%d %s %v", resp.StatusCode, body, err)
		return fmt.Sprint(resp.StatusCode) == args[0] && want.Match(body)
	})
}
