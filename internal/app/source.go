package app

import (
	"context"
	"crypto/rand"

	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

// Files is the source that watches files and folders.
func Files(paths []string, o file.Options) Source {
	return &files{Watcher: file.New(paths, o), paths: paths}
}

type files struct {
	*file.Watcher
	paths []string
}

func (f *files) Names() []string { return f.paths }

// Fixed is the source of objects that never change.
func Fixed(name string, snap file.Snapshot) Source { return &fixed{name, snap} }

// Nothing is the source of a process without files.
func Nothing() Source { return Fixed("no files", file.Snapshot{Set: store.NewSet(nil)}) }

type fixed struct {
	name string
	snap file.Snapshot
}

func (f *fixed) Load() (file.Snapshot, error) { return f.snap, nil }
func (f *fixed) Names() []string              { return []string{f.name} }

func (f *fixed) Run(ctx context.Context, _ func(file.Snapshot)) error {
	<-ctx.Done()
	return nil
}

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}
