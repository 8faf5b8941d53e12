// Package term is how Gridway's commands speak to a terminal: colours that
// vanish when nobody looks, tables, and structured output. It owns no
// goroutines; only the CLI imports it.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	xterm "github.com/charmbracelet/x/term"
)

// Terminal is where a command reads and writes. Out and Err drop colours when
// they are not terminals or when NO_COLOR is set (no-color.org), and write
// them anyway when CLICOLOR_FORCE is set.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// RawOut and RawErr pass on what they get, for logs.
	RawOut, RawErr io.Writer
	// Interactive: Out is a terminal, so a live view makes sense.
	Interactive bool
	// ErrInteractive: somebody sees what is written to Err, and no log keeps it.
	ErrInteractive bool
	outFile        *os.File
	env            []string
}

// Getenv is a variable of the environment, empty if it is not set.
func (t *Terminal) Getenv(name string) string {
	value := ""
	for _, e := range t.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// New wraps the three streams of a process. Env is as os.Environ gives it.
func New(in io.Reader, out, errw io.Writer, env []string) *Terminal {
	t := &Terminal{In: in, Out: colorprofile.NewWriter(out, env), Err: colorprofile.NewWriter(errw, env), RawOut: out, RawErr: errw, env: env}
	if f, ok := out.(*os.File); ok {
		t.outFile = f
		t.Interactive = xterm.IsTerminal(f.Fd())
	}
	if f, ok := errw.(*os.File); ok {
		t.ErrInteractive = xterm.IsTerminal(f.Fd())
	}
	return t
}

// SetColor overrides what was detected: "always", "never" or "auto".
func (t *Terminal) SetColor(when string) error {
	var p colorprofile.Profile
	switch when {
	case "auto", "":
		return nil
	case "always":
		p = colorprofile.TrueColor
	case "never":
		p = colorprofile.NoTTY
	default:
		return fmt.Errorf("--color must be auto, always or never, not %q", when)
	}
	for _, w := range []io.Writer{t.Out, t.Err} {
		if cw, ok := w.(*colorprofile.Writer); ok {
			cw.Profile = p
		}
	}
	return nil
}

// Width is the number of columns of the terminal, or 100 when there is none.
func (t *Terminal) Width() int {
	if t.outFile != nil && t.Interactive {
		if w, _, err := xterm.GetSize(t.outFile.Fd()); err == nil && w > 0 {
			return w
		}
	}
	return 100
}

// Printf writes to Out.
func (t *Terminal) Printf(format string, args ...any) { fmt.Fprintf(t.Out, format, args...) }

// Errorf writes to Err.
func (t *Terminal) Errorf(format string, args ...any) { fmt.Fprintf(t.Err, format, args...) }

// Style is a way to mark text. The colours are the sixteen of the terminal's
// own theme, so that they are readable on light and dark grounds.
type Style uint8

const (
	Bold Style = iota
	Faint
	Good
	Warn
	Bad
	Info
	Title
	Place // a file, line and column
)

// Paint marks s. Writers strip the marks where there are no colours.
func Paint(s string, style Style) string {
	if s == "" {
		return s
	}
	return styleOf(style).Render(s)
}

func styleOf(style Style) lipgloss.Style {
	st := lipgloss.NewStyle()
	switch style {
	case Bold:
		return st.Bold(true)
	case Faint:
		return st.Faint(true)
	case Good:
		return st.Foreground(lipgloss.Green)
	case Warn:
		return st.Foreground(lipgloss.Yellow).Bold(true)
	case Bad:
		return st.Foreground(lipgloss.Red).Bold(true)
	case Info:
		return st.Foreground(lipgloss.Cyan)
	case Title:
		return st.Foreground(lipgloss.Blue).Bold(true)
	case Place:
		return st.Foreground(lipgloss.BrightBlack)
	}
	return st
}

// Width of s in cells, not counting marks.
func Width(s string) int { return lipgloss.Width(s) }
