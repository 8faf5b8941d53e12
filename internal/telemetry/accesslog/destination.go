package accesslog

import (
	"context"
	"errors"
	"io"
	"time"
)

// Destination is a logger with the file behind it, if there is one.
type Destination struct {
	// Logger is nil for "off".
	Logger *Logger
	file   *File
}

// Open makes a logger for "stdout", "stderr", "off" (or nothing) or the path of a
// file.
func Open(to string, stdout, stderr io.Writer, o Options) (*Destination, error) {
	switch to {
	case "off", "":
		return &Destination{}, nil
	case "stdout":
		return &Destination{Logger: New(stdout, o)}, nil
	case "stderr":
		o.Log = nil // it must not write to the same output
		return &Destination{Logger: New(stderr, o)}, nil
	}
	f, err := OpenFile(to)
	if err != nil {
		return nil, err
	}
	return &Destination{Logger: New(f, o), file: f}, nil
}

// Reopen opens the file anew, after it was renamed.
func (d *Destination) Reopen(ctx context.Context) error {
	if d.Logger == nil || d.file == nil {
		return nil
	}
	return d.Logger.Reopen(ctx)
}

// FlushTimeout bounds the wait for an output that takes nothing any more.
const FlushTimeout = 2 * time.Second

// Close writes what is left.
func (d *Destination) Close() error {
	if d.Logger == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), FlushTimeout)
	defer cancel()
	err := d.Logger.Close(ctx)
	if d.file != nil {
		err = errors.Join(err, d.file.Close())
	}
	return err
}
