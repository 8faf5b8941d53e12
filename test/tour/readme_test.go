package tour

import (
	"path/filepath"
	"strings"
	"testing"
)

// What is proven below is proven by a test that can fail.
func TestOutputIsCompared(t *testing.T) {
	const got = "serving revision 1, live for 2 s\nA   B\n\nlast\n{\"time\":\"now\"}\nvery last"
	for _, tt := range []struct{ want, lacks string }{
		{"serving revision 1, …", ""},
		{"A B", ""},
		{"serving revision 1, …\nA B\n\nlast", ""},
		{"serving revision 1, …\n…\nlast", ""},
		{"serving revision 2, …", "serving revision 2, …"},
		{"serving revision 1, …\nlast", "last"},
		{"last\nvery last", ""},
		{"last\n{…\nvery last", ""},
		{"last\nA B", "A B"},
		{"serving revision", "serving revision"},
		{"A.*B", "A.*B"},
	} {
		if lacks, _ := missing(strings.Split(tt.want, "\n"), got); lacks != tt.lacks {
			t.Errorf("%q: lacks %q, want %q", tt.want, lacks, tt.lacks)
		}
	}
}

func TestBlocksAreRead(t *testing.T) {
	list, err := steps("x\n<!-- tour -->\nSave this as `a.yaml`.\n```yaml\nk: v\n```\n```sh\ntrue &\nfalse # exits with 1: no\n```\n```text\n…\n```\n<!-- end of tour -->")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].file != "a.yaml" || list[0].text != "k: v\n" || list[0].line != 5 || list[1].command != "true &" ||
		list[2].command != "false" || list[2].exit != 1 || list[2].line != 9 || len(list[2].want) != 1 {
		t.Errorf("%+v", list)
	}
	for _, bad := range []string{"", "<!-- tour -->", "<!-- tour -->\n```yaml\n```\n<!-- end of tour -->", "<!-- tour -->\n```text\n```\n<!-- end of tour -->", "<!-- tour -->\n```go\n```\n<!-- end of tour -->"} {
		if _, err := steps(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// A command that fails or prints something else ends the tour.
func TestWrongStepsAreNoticed(t *testing.T) {
	dir := t.TempDir()
	s := startShell(t, dir, filepath.Join(dir, "stderr"), nil)
	for _, tt := range []struct {
		step
		ok bool
	}{
		{step{command: "echo a; echo b >&2", want: []string{"a"}}, true},
		{step{command: "printf no-newline", want: []string{"no-newline"}}, true},
		{step{command: "(exit 3)", exit: 3}, true},
		{step{command: "(exit 3)"}, false},
		{step{command: "echo a", want: []string{"b"}}, false},
	} {
		code, out, err := s.run(tt.command, nil)
		_, differs := missing(tt.want, out)
		if ok := err == nil && code == tt.exit && !differs; ok != tt.ok {
			t.Errorf("%s: exit %d, %q, %v", tt.command, code, out, err)
		}
	}
	if !strings.Contains(s.complaints(), "b\n") {
		t.Error("standard error is lost")
	}
}
