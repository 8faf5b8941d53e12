package outlet

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// File is a file that is rotated by size and age. Its logger's goroutine alone writes and
// reopens it; a timer rotates it when it is too old and nothing is written. What becomes of
// rotated files is done beside that.
type File struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	cfg     *ir.FileSink
	f       *os.File
	size    int64
	began   time.Time // when it was opened, or got its first line
	aging   *time.Timer
	closed  bool
	failed  bool      // the last rotation did
	retryAt time.Time // it is tried again then

	tidying sync.Mutex // one at a time
	work    sync.WaitGroup
}

// retryRotation is how long a file that cannot be rotated only grows.
const retryRotation = 10 * time.Second

// OpenFile opens a file for appending.
func OpenFile(cfg *ir.FileSink, log *slog.Logger) (*File, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	x := &File{path: cfg.Path, log: log, now: time.Now, cfg: cfg}
	if err := x.open(); err != nil {
		return nil, err
	}
	return x, nil
}

// open opens the path and closes what was open. mu is held, or nobody knows x yet.
func (x *File) open() error {
	f, err := os.OpenFile(x.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open access log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open access log: %s is no regular file, which could be rotated; name it by --access-log", x.path)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	if x.f != nil {
		_ = x.f.Close()
	}
	x.f, x.size, x.began = f, info.Size(), x.now()
	x.age()
	return nil
}

// age has the file rotated when it is too old, also if nothing is written then. An empty
// file has no age. mu is held, or nobody knows x yet.
func (x *File) age() {
	if x.aging != nil {
		x.aging.Stop()
	}
	if x.closed || x.size == 0 || x.cfg.MaxAge <= 0 {
		return
	}
	now := x.now()
	due := x.began.Add(x.cfg.MaxAge)
	if due.Before(x.retryAt) {
		due = x.retryAt
	}
	x.aging = time.AfterFunc(max(due.Sub(now), 0), x.old)
}

// old rotates the file if it is too old.
func (x *File) old() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	if now := x.now(); x.due(now, 0) {
		x.rotate(now)
	}
	x.age() // if it could not be, or somebody else has
}

// Set takes other bounds.
func (x *File) Set(cfg *ir.FileSink) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cfg = cfg
	x.age()
}

// Write appends lines, which stay in one file, and rotates it before that if it is due.
func (x *File) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := x.now(); x.due(now, int64(len(p))) {
		x.rotate(now)
	}
	first := x.size == 0
	n, err := x.f.Write(p)
	x.size += int64(n)
	if first && n > 0 {
		x.began = x.now()
		x.age()
	}
	return n, err
}

func (x *File) due(now time.Time, more int64) bool {
	if x.size == 0 || now.Before(x.retryAt) {
		return false
	}
	return x.size+more > x.cfg.MaxBytes || x.cfg.MaxAge > 0 && now.Sub(x.began) >= x.cfg.MaxAge
}

// stamp is the time in the names of rotated files, which sort by it.
const stamp = "20060102T150405.000Z"

// rotate begins a new file. What fails is told, and the old one is written on. mu is held.
func (x *File) rotate(now time.Time) {
	err := x.begin(now)
	switch {
	case err == nil:
		x.failed, x.retryAt = false, time.Time{}
	case !x.failed:
		x.log.Warn("an access log cannot be rotated and grows; it is tried again", "file", x.path, "error", err)
		fallthrough
	default:
		x.failed, x.retryAt = true, now.Add(retryRotation)
	}
}

func (x *File) begin(now time.Time) error {
	ours, err := x.f.Stat()
	if err != nil {
		return err
	}
	// What is there may be a new file already, of another process or of an operator.
	if there, err := os.Stat(x.path); err == nil && os.SameFile(ours, there) {
		if err := rename(x.path, now); err != nil {
			return err
		}
	}
	if err := x.open(); err != nil {
		return err
	}
	cfg := *x.cfg
	x.work.Go(func() { x.tidy(&cfg) })
	return nil
}

// rename gives a file the name of the moment, or of the next one that is free.
func rename(path string, now time.Time) error {
	for range 1000 {
		to := path + "-" + now.UTC().Format(stamp)
		taken := false
		for _, name := range []string{to, to + packed} {
			if _, err := os.Lstat(name); err == nil {
				taken = true
			}
		}
		if !taken {
			return os.Rename(path, to)
		}
		now = now.Add(time.Millisecond)
	}
	return errors.New("a thousand files of this second are there already")
}

const packed = ".gz"

// tidy compresses rotated files and removes those that are too many.
func (x *File) tidy(cfg *ir.FileSink) {
	x.tidying.Lock()
	defer x.tidying.Unlock()
	if err := tidy(cfg); err != nil {
		x.log.Warn("rotated access logs could not be tidied up", "file", x.path, "error", err)
	}
}

func tidy(cfg *ir.FileSink) error {
	names, err := rotated(cfg.Path)
	if err != nil {
		return err
	}
	var errs []error
	for i, name := range names {
		if i >= cfg.MaxFiles {
			errs = append(errs, os.Remove(name))
		} else if cfg.Compress && !strings.HasSuffix(name, packed) {
			errs = append(errs, compress(name))
		}
	}
	return errors.Join(errs...)
}

// rotated lists rotated files, the newest first.
func rotated(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		at, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+"-")
		if !ok {
			continue
		}
		if _, err := time.Parse(stamp, strings.TrimSuffix(at, packed)); err == nil {
			out = append(out, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(b, a) })
	return out, nil
}

// compress puts a compressed file in the place of one.
func compress(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	part := name + packed + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	w := gzip.NewWriter(out)
	_, err = io.Copy(w, in)
	if err = errors.Join(err, w.Close(), out.Close()); err == nil {
		err = os.Rename(part, name+packed)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(part)))
	}
	return os.Remove(name)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Reopen opens the path again, after somebody has renamed the file. If that fails the old
// one stays in use.
func (x *File) Reopen() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open()
}

// Close closes the file, once rotated ones are tidied up.
func (x *File) Close() error {
	x.mu.Lock()
	x.closed = true
	x.age() // which stops it
	x.mu.Unlock()
	x.work.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.f.Close()
}
