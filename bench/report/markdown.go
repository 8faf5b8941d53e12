package report

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The section of a page between these lines is written by the benchmark.
const (
	begin = "<!-- Begin of what bench wrote; do not edit. -->"
	end   = "<!-- End of what bench wrote. -->"
)

// Markdown is the section with all figures.
func (r *Results) Markdown(chart string) string {
	var b strings.Builder
	kind := "Full run"
	if r.Quick {
		kind = "Quick run (few and short rounds: a rough picture)"
	}
	if r.Filter != "" {
		kind += fmt.Sprintf(", cases %q only", r.Filter)
	}
	m := r.Machine
	fmt.Fprintf(&b, "%s of %s. %s, %d cores, %d GiB; %s, kernel %s.\n", kind, r.Date.UTC().Format("2 January 2006"), m.CPU, m.Cores, (m.Memory+1<<29)>>30, m.OS, m.Kernel)
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	fmt.Fprintf(&b, "Versions: %s.\n\n", strings.Join(versions, ", "))
	if len(r.Cases) > 0 {
		fmt.Fprintf(&b, "![CPU per request by proxy and case](%s)\n\n%s\n", chart, r.summary().markdown())
	}
	fmt.Fprintf(&b, "### Aims\n\n%s\n", aimRows(Aims(r)).markdown())
	if len(r.Measures) > 0 {
		t := table{{"figure", "median (lowest–highest)"}}
		for i := range r.Measures {
			t = append(t, []string{r.Measures[i].Title, r.Measures[i].value()})
		}
		fmt.Fprintf(&b, "### Connections, routes and reloads\n\n%s\n", t.markdown())
	}
	if len(r.Cases) > 0 {
		b.WriteString("### Each case\n\n\"gridway is\" is Gridway's CPU per request as a multiple of that proxy's: the median of the rounds, then the lowest and highest.\n\n")
	}
	for i := range r.Cases {
		fmt.Fprintf(&b, "**%s**\n\n%s\n", r.Cases[i].heading(), r.Cases[i].rows().markdown())
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Insert replaces what stands between the markers of the page at path.
func Insert(path, section string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err = replace(page, section)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, page, 0o644)
}

func replace(page []byte, section string) ([]byte, error) {
	head, rest, ok := bytes.Cut(page, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, fmt.Errorf("no section between %q and %q", begin, end)
	}
	return slices.Concat(head, []byte(begin+"\n\n"+section+"\n"+end), tail), nil
}
