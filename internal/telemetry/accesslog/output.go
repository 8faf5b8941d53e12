package accesslog

import (
	"io"
	"os"
)

// Open returns the output that target names: "stdout" or "-", "stderr", or the
// path of a file, which can then be reopened. Closing the standard streams does
// nothing.
func Open(target string) (io.WriteCloser, error) {
	switch target {
	case "stdout", "-":
		return stream{os.Stdout}, nil
	case "stderr":
		return stream{os.Stderr}, nil
	}
	f, err := OpenFile(target)
	if err != nil {
		return nil, err
	}
	return f, nil
}

type stream struct{ io.Writer }

func (stream) Close() error { return nil }
