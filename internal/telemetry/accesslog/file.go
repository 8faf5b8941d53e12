package accesslog

import (
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// File is an output that can be rotated: rename it, then Reopen.
type File struct {
	path string
	// f is not under a lock: Close must end a write that blocks.
	f atomic.Pointer[os.File]
}

// OpenFile opens path for appending and creates it, readable by its owner and
// group only, if need be.
func OpenFile(path string) (*File, error) {
	f, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	out := &File{path: path}
	out.f.Store(f)
	return out, nil
}

func openAppend(path string) (*os.File, error) {
	mode := os.O_APPEND | os.O_CREATE | os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		// So that neither a start waits for a reader, nor a reader that goes breaks
		// the pipe: fifo(7).
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(path, mode, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

// Write appends p. Only one goroutine may write and reopen.
func (f *File) Write(p []byte) (int, error) {
	return f.f.Load().Write(p)
}

// Reopen opens the path again. If that fails the old file stays in use.
func (f *File) Reopen() error {
	next, err := openAppend(f.path)
	if err != nil {
		return err
	}
	return f.f.Swap(next).Close()
}

// Close closes the file, and ends a write to a pipe that blocks.
func (f *File) Close() error {
	return f.f.Load().Close()
}
