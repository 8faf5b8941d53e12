package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/gridway/gridway/internal/config/store"
)

// Options of Load and New. The zero value is useful.
type Options struct {
	// Stdin is read for the path "-". Default: the process's standard input.
	Stdin io.Reader
	// MaxFileBytes refuses longer files. Default: 256 MiB.
	MaxFileBytes int64
	// Quiet is how long nothing must have changed before files are read again.
	// Default: 10 ms.
	Quiet time.Duration
	// Settle is how old a change must be before it may take objects away or
	// bring errors: editors that write in place leave files short for a moment.
	// Default: 150 ms.
	Settle time.Duration
	// Moved is how long the new places of objects that did not change otherwise
	// may come after the change that moved them, if there are many. Default: 1 s.
	Moved time.Duration
	// MaxWait is the longest time that changes without a pause put off reading.
	// Default: 1 s.
	MaxWait time.Duration
	// Poll looks at every file so often, beside what the system reports.
	// Default: 5 s, and 500 ms where the system cannot report changes.
	Poll time.Duration
}

func (o Options) withDefaults() Options {
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.MaxFileBytes == 0 {
		o.MaxFileBytes = 256 << 20
	}
	if o.Quiet == 0 {
		o.Quiet = 10 * time.Millisecond
	}
	if o.Settle == 0 {
		o.Settle = 150 * time.Millisecond
	}
	if o.Moved == 0 {
		o.Moved = time.Second
	}
	if o.MaxWait == 0 {
		o.MaxWait = time.Second
	}
	return o
}

// Load reads files and folders once. "-" is standard input. The error is about
// paths that cannot be read at all; what is wrong inside files is in the
// problems, and the set has every object that is without error.
func Load(paths []string, opts Options) (*store.Set, []store.Problem, error) {
	r := newReader(paths, opts.withDefaults())
	snap, err := r.first()
	if err != nil {
		return nil, nil, err
	}
	return snap.Set, snap.Problems, nil
}

// readFile reads a file, within the bound. What can be read only once, standard
// input and pipes, is kept.
func (r *reader) readFile(path string) ([]byte, error) {
	if data, ok := r.once[path]; ok {
		return data, nil
	}
	if path == Stdin {
		data, err := io.ReadAll(io.LimitReader(r.opts.Stdin, r.opts.MaxFileBytes+1))
		if err != nil {
			return nil, err
		}
		r.once[path] = data
		return data, r.checkSize(int64(len(data)))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := r.readAll(f, info, path)
	if err == nil && !info.Mode().IsRegular() {
		r.once[path] = data
	}
	return data, err
}

func (r *reader) readAll(f *os.File, info fs.FileInfo, path string) ([]byte, error) {
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a folder")}
	}
	if err := r.checkSize(info.Size()); err != nil {
		return nil, err
	}
	// One byte of room lets the read that finds the end fit; a file that grows
	// meanwhile is read on.
	var data []byte
	if info.Size() >= minText {
		data, r.spare = r.spare[:0], nil
	}
	if int64(cap(data)) <= info.Size() {
		data = make([]byte, 0, info.Size()+info.Size()/16+1)
	}
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if err := r.checkSize(int64(len(data))); err != nil {
			return nil, err
		}
	}
}

func (r *reader) checkSize(n int64) error {
	if n > r.opts.MaxFileBytes {
		return fmt.Errorf("longer than the limit of %d bytes", r.opts.MaxFileBytes)
	}
	return nil
}
