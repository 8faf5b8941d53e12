package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// cell is one character as the terminal shows it.
type cell struct {
	r rune
	style
}

type style struct {
	color int // 0 the terminal's own, 1 to 8 the ANSI colours from black, 9 to 16 the bright ones
	bold  bool
	faint bool
}

// parse reads lines of text with SGR sequences; trailing empty lines are left out.
func parse(r *bufio.Reader) ([][]cell, error) {
	lines := [][]cell{nil}
	var now style
	for {
		c, _, err := r.ReadRune()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		last := len(lines) - 1
		switch c {
		case '\n':
			lines = append(lines, nil)
		case 0x1b:
			if now, err = sgr(r, now); err != nil {
				return nil, fmt.Errorf("line %d: %w", len(lines), err)
			}
		default:
			lines[last] = append(lines[last], cell{r: c, style: now})
		}
	}
	for len(lines) > 0 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		return nil, errors.New("the screen is empty")
	}
	return lines, nil
}

// sgr reads the rest of a sequence after its ESC (ECMA-48 §8.3.117).
func sgr(r *bufio.Reader, now style) (style, error) {
	seq, err := r.ReadString('m')
	if err != nil || !strings.HasPrefix(seq, "[") {
		return now, fmt.Errorf("sequence ESC %q does not set a style", seq)
	}
	for _, p := range strings.Split(strings.TrimSuffix(seq[1:], "m"), ";") {
		n := 0
		if p != "" {
			if n, err = strconv.Atoi(p); err != nil {
				return now, fmt.Errorf("sequence ESC %q: %w", seq, err)
			}
		}
		switch {
		case n == 0:
			now = style{}
		case n == 1:
			now.bold = true
		case n == 2:
			now.faint = true
		case n == 22:
			now.bold, now.faint = false, false
		case n >= 30 && n <= 37:
			now.color = n - 29
		case n >= 90 && n <= 97:
			now.color = n - 81
		case n == 39:
			now.color = 0
		case n == 49:
		default:
			return now, fmt.Errorf("style %d is not drawn", n)
		}
	}
	return now, nil
}
