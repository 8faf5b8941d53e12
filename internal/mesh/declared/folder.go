package declared

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// lookEvery is how often the folder is looked at: what is declared changes seldom, and
	// a look is a few system calls.
	lookEvery = time.Second
	// maxFiles bounds those of a folder.
	maxFiles = 1000
)

// Folder has declarations in its files that end in .yaml or .yml, but for hidden ones.
type Folder struct {
	Path string
	Log  *slog.Logger // nil is nobody

	files map[string]*kept
	said  string
}

// kept is a file with what was last good of it. info is nil if it could not be looked at.
type kept struct {
	info fs.FileInfo
	good []*Workload
	err  error
}

// Read reads what changed, and returns all workloads in the order of their keys. What is
// broken is in the error, and the last good state of it among the workloads: of a file, and
// of two that declare the same.
func (f *Folder) Read() ([]*Workload, error) {
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return f.all(fmt.Errorf("workloads: %w", err))
	}
	there := map[string]*kept{}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		if len(there) == maxFiles {
			errs = append(errs, fmt.Errorf("workloads: more than %d files in %s", maxFiles, f.Path))
			break
		}
		if k := f.read(filepath.Join(f.Path, name)); k != nil {
			there[name] = k
			errs = append(errs, k.err)
		}
	}
	f.files = there
	return f.all(errors.Join(errs...))
}

// read reads a file if it is another than before; nil is that it is gone.
func (f *Folder) read(path string) *kept {
	was := f.files[filepath.Base(path)]
	info, err := os.Stat(path) // also of links, as mounted folders of Kubernetes have them
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if was != nil && was.info != nil && err == nil && was.info.Size() == info.Size() && was.info.ModTime().Equal(info.ModTime()) && os.SameFile(was.info, info) {
		return was
	}
	k := &kept{}
	if was != nil {
		k.good = was.good
	}
	var text []byte
	if err == nil {
		k.info = info
		text, err = readBounded(path)
	}
	var list []*Workload
	if err == nil {
		list, err = Read(path, text)
	}
	if k.err = err; err == nil {
		k.good = list
	}
	return k
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxFile+1))
}

// all joins the files. Of two that declare the same workload or processes, the first in
// the order of names holds.
func (f *Folder) all(err error) ([]*Workload, error) {
	var out []*Workload
	keys, processes := map[string]*Workload{}, map[Processes]*Workload{}
	errs := []error{err}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		for _, w := range f.files[name].good {
			if had := keys[w.Key()]; had != nil {
				errs = append(errs, fmt.Errorf("%s: %s is declared already, at %s; give one of them another name", w.Where, w.Key(), had.Where))
				continue
			}
			if had := processes[w.Processes]; had != nil {
				errs = append(errs, fmt.Errorf("%s: %s are those of %s already, at %s: nobody could tell whose connections they are", w.Where, w.Processes, had.Key(), had.Where))
				continue
			}
			keys[w.Key()], processes[w.Processes] = w, w
			out = append(out, w)
		}
	}
	slices.SortFunc(out, compare)
	return out, errors.Join(errs...)
}

// Run tells of the workloads whenever they may have changed, until ctx ends. What is wrong
// with files goes to the log, once.
func (f *Folder) Run(ctx context.Context, changed func([]*Workload)) error {
	log := f.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		list, err := f.Read()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != f.said && text != "" {
			log.Error("workloads are not all as their files say; what was good before goes on", "error", text)
		}
		f.said = text
		changed(list)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
