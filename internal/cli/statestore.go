package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// firstTokens is the file that tokens of a first start are put into where nobody
// looks at a terminal.
const firstTokens = "first-tokens"

// stateOptions finds the state store. A password belongs into $GRIDWAY_STATE or
// into a file that libpq knows: everybody on the machine sees command lines.
func (s *serving) stateOptions(t *term.Terminal, o *app.Options) error {
	text := s.state
	if s.named {
		text = cmp.Or(text, t.Getenv("GRIDWAY_STATE"))
	}
	text = cmp.Or(text, s.stateDefault, "off")
	if text == "off" {
		if s.stateKeyFile != "" {
			return usagef("add --state sqlite", "--state-key-file has no meaning without --state")
		}
		return nil
	}
	at, err := statedb.ParseLocation(text, o.StateDir)
	if err != nil {
		return usageError{Err: fmt.Errorf("--state: %w", err), Hint: "for example --state sqlite, or GRIDWAY_STATE=postgres://gridway@db.internal/gridway"}
	}
	if s.stateKeyFile != "" {
		if _, err := seal.ReadSecrets("--state-key-file", s.stateKeyFile); err != nil {
			return err
		}
	}
	o.State = &at
	o.ShowTokens = func(list []access.CreatedToken) error { return showTokens(t, o.StateDir, list) }
	return nil
}

// showTokens shows the tokens of a first start, once: on a terminal, and otherwise
// in a file, since what goes to a log is kept by others.
func showTokens(t *term.Terminal, dir string, list []access.CreatedToken) error {
	if len(list) == 0 {
		return nil
	}
	if t.ErrInteractive {
		t.Errorf("%s\n%s\n", term.Paint("Tokens of the admin API, shown this once:", term.Bold), tokenLines(list))
		t.Errorf("%s\n\n", term.Paint(`Commands present the one in $GRIDWAY_TOKEN. "gridway token create" makes more.`, term.Faint))
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, firstTokens)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(path, []byte(tokenLines(list)), 0o600); err != nil {
		return err
	}
	t.Errorf("first tokens of the admin API, one for each role, are in %s: take them from there and remove the file\n", path)
	return nil
}

func tokenLines(list []access.CreatedToken) (text string) {
	for _, c := range list {
		text += fmt.Sprintf("%-8s %s\n", c.Role, c.Text)
	}
	return text
}
