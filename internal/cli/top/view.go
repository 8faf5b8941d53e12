package top

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/gridway/gridway/internal/cli/term"
)

// Options of the live view.
type Options struct {
	// Title names the gateway that is looked at.
	Title string
	Every time.Duration
	// Fetch brings a sample; its errors are shown and the view goes on.
	Fetch func(ctx context.Context) (Sample, error)
	In    io.Reader
	Out   io.Writer
	Env   []string
}

// Run shows the board until the user leaves or ctx ends.
func Run(ctx context.Context, b *Board, o Options) error {
	v := &view{ctx: ctx, board: b, opt: o, height: 24, width: 80}
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out)}
	if o.Env != nil {
		opts = append(opts, tea.WithEnvironment(o.Env))
	}
	_, err := tea.NewProgram(v, opts...).Run()
	if ctx.Err() == nil {
		return err
	}
	return nil // the end that was asked for
}

type view struct {
	ctx    context.Context // of the program; Bubble Tea gives commands none
	board  *Board
	opt    Options
	err    error
	paused bool
	typing bool
	seen   bool

	width, height int
}

type (
	sampleMsg Sample
	errMsg    struct{ err error }
	tickMsg   struct{}
)

func (v *view) Init() tea.Cmd { return v.fetch }

func (v *view) fetch() tea.Msg {
	s, err := v.opt.Fetch(v.ctx)
	if err != nil {
		return errMsg{err}
	}
	return sampleMsg(s)
}

func (v *view) next() tea.Cmd {
	return tea.Tick(v.opt.Every, func(time.Time) tea.Msg { return tickMsg{} })
}

func (v *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		v.width, v.height = m.Width, m.Height
	case sampleMsg:
		v.err, v.seen = nil, true
		if !v.paused {
			v.board.Add(Sample(m))
		}
		return v, v.next()
	case errMsg:
		v.err = m.err
		return v, v.next()
	case tickMsg:
		return v, v.fetch
	case tea.KeyPressMsg:
		if v.typing {
			v.typeFilter(m)
			return v, nil
		}
		return v, v.key(m.String())
	}
	return v, nil
}

func (v *view) typeFilter(m tea.KeyPressMsg) {
	switch k := m.String(); k {
	case "enter":
		v.typing = false
	case "esc":
		v.typing, v.board.Filter = false, ""
	case "backspace":
		if r := []rune(v.board.Filter); len(r) > 0 {
			v.board.Filter = string(r[:len(r)-1])
		}
	default:
		v.board.Filter += m.Key().Text
	}
}

func (v *view) key(k string) tea.Cmd {
	b := v.board
	switch k {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "r":
		b.Sort = ByRequests
	case "e":
		b.Sort = ByErrors
	case "5":
		b.Sort = ByP50
	case "9":
		b.Sort = ByP99
	case "o":
		b.Sort = ByOpen
	case "n":
		b.Sort = ByName
	case "s", "right":
		b.Sort = (b.Sort + 1) % columns
	case "left":
		b.Sort = (b.Sort + columns - 1) % columns
	case "i":
		b.Reverse = !b.Reverse
	case "c", "tab":
		b.Turn()
	case "space", "p":
		v.paused = !v.paused
	case "/":
		v.typing = true
	}
	return nil
}

func (v *view) View() tea.View {
	var s strings.Builder
	rate, failed := v.board.Total()
	head := fmt.Sprintf("%s  %s  %s req/s  %.1f%% errors", term.Paint("gridway top", term.Title), v.opt.Title, Rate(rate), failed*100)
	if v.board.last.Revision > 0 {
		head += fmt.Sprintf("  revision %d", v.board.last.Revision)
	}
	if v.paused {
		head += "  " + term.Paint("paused", term.Warn)
	}
	s.WriteString(head + "\n")
	switch {
	case v.err != nil:
		s.WriteString(term.Paint(v.err.Error(), term.Bad) + "\n\n")
	case v.typing:
		s.WriteString("filter: " + v.board.Filter + "▏ " + term.Paint("(enter keeps it, esc clears it)", term.Faint) + "\n\n")
	case v.board.Filter != "":
		s.WriteString("filter: " + v.board.Filter + "\n\n")
	default:
		s.WriteString("\n\n")
	}
	if v.seen {
		s.WriteString(v.board.Table(max(v.height-6, 1)))
	}
	body := strings.Split(strings.TrimRight(s.String(), "\n"), "\n")
	for len(body) < v.height-1 {
		body = append(body, "")
	}
	order := "sorted by " + v.board.Sort.String()
	if v.board.Reverse {
		order += ", reversed"
	}
	body = append(body[:max(v.height-1, 1)], term.Paint(order+" · r rate  e errors  5 p50  9 p99  o open  n name  i invert  c clusters, services  / filter  space pause  q quit", term.Faint))
	out := tea.NewView(strings.Join(body, "\n"))
	out.AltScreen = true
	out.WindowTitle = "gridway top"
	return out
}
