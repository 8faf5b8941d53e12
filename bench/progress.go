package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress tells on a terminal what is being done, on one line that is
// rewritten; elsewhere only results are printed.
type progress struct {
	out   io.Writer
	live  bool
	start time.Time
	wrote bool
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, live: err == nil && info.Mode()&os.ModeCharDevice != 0, start: time.Now()}
}

// step replaces the line.
func (p *progress) step(format string, args ...any) {
	if p.live {
		fmt.Fprintf(p.out, "\r\033[K[%4.0fs] %s", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
		p.wrote = true
	}
}

// print takes the line away and prints a result.
func (p *progress) print(text string) {
	if p.wrote {
		fmt.Fprint(p.out, "\r\033[K")
		p.wrote = false
	}
	fmt.Fprintln(p.out, text)
}
