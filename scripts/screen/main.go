// Command screen draws the screen of a terminal as SVG: it reads what
// "tmux capture-pane -e -p" wrote on standard input and writes the picture on
// standard output. scripts/picture uses it for docs/images.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
)

func main() {
	title := flag.String("title", "", "text in the window's title bar")
	flag.Parse()
	s, err := parse(bufio.NewReader(os.Stdin))
	if err == nil {
		w := bufio.NewWriter(os.Stdout)
		draw(w, s, *title)
		err = w.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "screen:", err)
		os.Exit(1)
	}
}
