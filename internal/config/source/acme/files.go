package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Files is a Storage in a folder, which several processes and machines may
// share: files are replaced by renaming, and locks are those of flock(2), which
// the kernel gives back when a process dies. Of network file systems it takes
// one with locks, such as NFS version 4.
//
// The folder is made by Open, or when something is first stored: where nothing
// is asked for there is none. Only its owner may look into what is made.
type Files struct{ dir string }

// staleAnswer is how old an answer to a challenge is that nobody took away.
const staleAnswer = 24 * time.Hour

// NewFiles is the storage in a folder.
func NewFiles(dir string) *Files { return &Files{dir: dir} }

// Open makes the folder if there is none, makes sure that it can be written,
// and tidies it.
func (f *Files) Open() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("storage of certificates: %w", err)
	}
	probe, err := os.CreateTemp(f.dir, ".writable-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return fmt.Errorf("storage of certificates: %w", err)
	}
	f.sweep()
	return nil
}

// sweep removes what a process that has died left behind.
func (f *Files) sweep() {
	for _, pattern := range []string{"challenges/*", "*/.new-*"} {
		old, _ := filepath.Glob(filepath.Join(f.dir, pattern)) // the pattern is well formed
		for _, path := range old {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleAnswer {
				_ = os.Remove(path) // another process may have been faster
			}
		}
	}
}

func (f *Files) path(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)), nil
}

// Load implements Storage.
func (f *Files) Load(_ context.Context, key string) ([]byte, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	value, err := io.ReadAll(io.LimitReader(file, maxValue+1))
	if err == nil && len(value) > maxValue {
		err = fmt.Errorf("%w: %s is longer than %d bytes", errDamaged, path, maxValue)
	}
	return value, err
}

// Store implements Storage.
func (f *Files) Store(_ context.Context, key string, value []byte) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("storage: %s would be longer than %d bytes", key, maxValue)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next, err := os.CreateTemp(dir, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = next.Write(value)
	if err == nil {
		err = next.Sync() // a rename may be on the disk before what was written
	}
	err = errors.Join(err, next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems cannot
		return err
	}
	return nil
}

// Delete implements Storage.
func (f *Files) Delete(_ context.Context, key string) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Move implements Storage.
func (f *Files) Move(_ context.Context, from, to string) error {
	old, err := f.path(from)
	if err != nil {
		return err
	}
	next, err := f.path(to)
	if err != nil {
		return err
	}
	if err := os.Rename(old, next); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(next))
}

// lockPoll is the wait between two looks at a lock that another holds.
const lockPoll = 100 * time.Millisecond

// Lock implements Storage. The file of the lock stays: to remove it would let
// two in, one of them with the old file.
func (f *Files) Lock(ctx context.Context, key string) (unlock func(), err error) {
	if err := checkKey("locks/" + key); err != nil {
		return nil, err
	}
	path := filepath.Join(f.dir, "locks", key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil // which gives the lock back
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for lock %s: %w", path, ctx.Err()), file.Close())
		case <-ticker.C:
		}
	}
}
