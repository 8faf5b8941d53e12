package command

import (
	"io"
	"os"
	"strconv"

	"github.com/gridway/gridway/internal/cli/term"
)

// ReadText reads a file, or the standard input for -.
func ReadText(t *term.Terminal, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(t.In)
	}
	return os.ReadFile(path)
}

// IsPort tells whether text is the number of a port.
func IsPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
