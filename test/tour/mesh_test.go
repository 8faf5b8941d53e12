package tour

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/built"
	"github.com/gridway/gridway/test/netns"
)

const tutorial = "docs/guides/mesh-tutorial.md"

var (
	onMachine = regexp.MustCompile(`^<!-- on: (\w+) -->$`)
	copyFile  = regexp.MustCompile(`^<!-- copy: (\S+) from (\w+) to (\w+) -->$`)
)

// act is what one machine does next, or a file that goes from one to the other.
type act struct {
	machine        string
	steps          []step
	file, from, to string
}

// acts reads a page whose blocks say by a comment before them where they belong.
func acts(page string) (list []act, err error) {
	lines := strings.Split(page, "\n")
	machine := ""
	for i := 0; i < len(lines); i++ {
		if m := onMachine.FindStringSubmatch(lines[i]); m != nil {
			machine = m[1]
		} else if m := copyFile.FindStringSubmatch(lines[i]); m != nil {
			list = append(list, act{file: m[1], from: m[2], to: m[3]})
		} else if strings.HasPrefix(lines[i], "```") {
			if machine == "" {
				return nil, errors.New(lines[i] + " belongs to no machine")
			}
			// One block, with the name of the file before it and the output behind it.
			first, end := i, i+1
			for lines[end] != "```" {
				end++
			}
			if end+1 < len(lines) && lines[end+1] == "```text" {
				for end += 2; lines[end] != "```"; end++ {
				}
			}
			name := ""
			for k := i; k >= 0 && name == ""; k-- {
				name = fileName.FindString(strings.ReplaceAll(lines[k], "save this", "Save this"))
			}
			text := append([]string{name}, lines[first:end+1]...)
			steps, err := blocks(strings.Join(text, "\n"), first)
			if err != nil {
				return nil, err
			}
			list = append(list, act{machine: machine, steps: steps})
			machine, i = "", end
		}
	}
	return list, nil
}

// TestMeshTutorial follows the tutorial on two hosts.
func TestMeshTutorial(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, tutorial))
	if err != nil {
		t.Fatal(err)
	}
	list, err := acts(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("the tutorial has %d blocks", len(list))
	}
	binary, err := built.Gridway()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "gridway")); err != nil {
		t.Fatal(err)
	}
	network := netns.New(t)
	type machine struct {
		dir   string
		shell *shell
	}
	machines := map[string]machine{}
	for i, name := range []string{"one", "two"} {
		h := network.Host(name)
		if want := []string{"10.77.0.1", "10.77.0.2"}[i]; h.IP4.String() != want {
			t.Fatalf("machine %s is %s", name, h.IP4)
		}
		dir := t.TempDir()
		env := append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir, "XDG_STATE_HOME=", "STATE_DIRECTORY=", "GRIDWAY_CONTROL=", "GRIDWAY_JOIN_TOKEN=")
		machines[name] = machine{dir, startShellAt(t, dir, filepath.Join(dir, ".stderr"), env, h.Start)}
	}
	same := strings.NewReplacer()
	for _, a := range list {
		if a.file != "" {
			text, err := os.ReadFile(filepath.Join(machines[a.from].dir, a.file))
			if err == nil {
				err = os.WriteFile(filepath.Join(machines[a.to].dir, a.file), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		m, ok := machines[a.machine]
		if !ok {
			t.Fatalf("there is no machine %q", a.machine)
		}
		for _, st := range a.steps {
			if err := st.take(m.shell, m.dir, same); err != nil {
				logs := ""
				for _, each := range machines {
					files, _ := filepath.Glob(filepath.Join(each.dir, "*.log"))
					for _, f := range files {
						text, _ := os.ReadFile(f)
						logs += "\n" + filepath.Base(f) + ":\n" + string(text[max(0, len(text)-2000):])
					}
				}
				t.Fatalf("%s:%d: on %s: %v\nstandard error:\n%s%s", tutorial, st.line, a.machine, err, m.shell.complaints(), logs)
			}
		}
	}
}
