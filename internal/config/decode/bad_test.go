package decode_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/gridway/gridway/internal/config/decode"
)

var update = flag.Bool("update", false, "write what the tests got into testdata")

// TestBadConfig decodes the *.yaml parts of testdata/bad/*.txtar, and compares
// the problems with the part of the same name that ends in .want.
func TestBadConfig(t *testing.T) {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err, "no archives")
	}
	cases := 0
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range archive.Files {
			want[f.Name] = string(f.Data)
		}
		out := &txtar.Archive{Comment: archive.Comment}
		for _, f := range archive.Files {
			base, isInput := strings.CutSuffix(f.Name, ".yaml")
			if !isInput {
				continue
			}
			cases++
			got := problemsOf(f.Name, f.Data)
			out.Files = append(out.Files, f, txtar.File{Name: base + ".want", Data: []byte(got)})
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+base, func(t *testing.T) {
				if got == "" {
					t.Error("no problem was found")
				}
				if d := cmp.Diff(want[base+".want"], got); d != "" && !*update {
					t.Errorf("problems differ (-want +got):\n%s", d)
				}
			})
		}
		if *update {
			if err := os.WriteFile(name, txtar.Format(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cases < 150 {
		t.Errorf("%d cases of bad configuration, there were at least 150", cases)
	}
}

func problemsOf(name string, text []byte) string {
	var b strings.Builder
	for _, p := range decode.Decode(decode.Document{File: name, Line: 1, Text: text}).Problems {
		b.WriteString(p.Code + " " + p.String() + "\n")
	}
	return b.String()
}
