package objectsdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/statedb"
)

// FileChange is what has become of an object of a file. Before and After are nil for
// nothing.
type FileChange struct {
	Key           store.Key
	Before, After *store.Object
}

// Files are changes of files, as one process has seen them.
type Files struct {
	By      string
	Changes []FileChange
	// Whole: the changes are all objects that the files have, and the process has not
	// recorded any yet. What is recorded besides them is gone.
	Whole bool
	// Digest tells versions of an object apart, and gives no secret away.
	Digest func(o *store.Object) string
	// Show is a change as it is kept: texts without secrets.
	Show func(c FileChange, op objects.Op) objects.ObjectChange
}

var errNothing = errors.New("nothing has changed")

// RecordFiles keeps a revision of what has changed in files, unless another process that
// reads the same files has done so already.
func (s *Service) RecordFiles(ctx context.Context, f Files) error {
	err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		version, err := tx.Advance(ctx, statedb.Objects) // before anything is read: one process at a time
		if err != nil {
			return err
		}
		changes, err := s.unrecorded(ctx, tx, &f)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return errNothing
		}
		row := statedb.Revision{Number: version, At: s.time(), Actor: f.By, Origin: string(objects.Files)}
		var kept []objects.ObjectChange
		size := 0
		for _, c := range changes {
			if err := tx.PutFileObject(ctx, statedb.ObjectKey(c.Key), c.after); err != nil {
				return err
			}
			if len(kept) == objects.MaxChanged || size >= objects.MaxChange {
				row.Omitted++
				continue
			}
			shown := f.Show(c.FileChange, c.op)
			if c.op != objects.Created && c.Before == nil { // before this process
				if shown.Before, err = tx.LastText(ctx, statedb.ObjectKey(c.Key)); err != nil {
					return err
				}
			}
			if size += len(shown.Before) + len(shown.After); size > objects.MaxChange {
				row.Omitted++
				continue
			}
			kept = append(kept, shown)
			row.Changes = append(row.Changes, statedb.RevisionChange{
				ObjectKey: statedb.ObjectKey(c.Key), Op: string(c.op), Place: shown.Place, Was: shown.Before, Became: shown.After,
			})
		}
		row.Message = FilesOf(kept)
		return tx.AddRevision(ctx, &row)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// unrecordedChange is one that the store does not know.
type unrecordedChange struct {
	FileChange
	op    objects.Op
	after string // its digest; empty if it is gone
}

func (s *Service) unrecorded(ctx context.Context, tx *statedb.Tx, f *Files) (out []unrecordedChange, err error) {
	recorded := map[statedb.ObjectKey]string{}
	if f.Whole {
		err = tx.FileObjects(ctx, func(k statedb.ObjectKey, digest string) error {
			recorded[k] = digest
			return nil
		})
	} else {
		for _, c := range f.Changes {
			k := statedb.ObjectKey(c.Key)
			if recorded[k], err = tx.FileObject(ctx, k); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	changes := slices.Clip(f.Changes)
	if f.Whole {
		there := make(map[store.Key]bool, len(changes))
		for _, c := range changes {
			there[c.Key] = true
		}
		for k := range recorded {
			if !there[store.Key(k)] {
				changes = append(changes, FileChange{Key: store.Key(k)})
			}
		}
		slices.SortStableFunc(changes[len(f.Changes):], func(a, b FileChange) int { return compareNames(a.Key, b.Key) })
	}
	for _, c := range changes {
		u := unrecordedChange{FileChange: c, op: objects.Changed}
		was := recorded[statedb.ObjectKey(c.Key)]
		if c.After != nil {
			u.after = f.Digest(c.After)
		}
		switch {
		case was == u.after:
			continue
		case was == "":
			u.op = objects.Created
		case u.after == "":
			u.op = objects.Deleted
		}
		if c.Before != nil && f.Digest(c.Before) != was { // somebody else has recorded something between
			u.Before = nil
		}
		out = append(out, u)
	}
	return out, nil
}

func compareNames(a, b store.Key) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// namedFiles is how many files the message of a revision names.
const namedFiles = 3

// FilesOf is the message of a revision of files: which they are.
func FilesOf(changes []objects.ObjectChange) (text string) {
	var names []string
	for i := range changes {
		if f := fileOf(changes[i].Place); f != "" && !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	for i, n := range names[:min(len(names), namedFiles)] {
		if i > 0 {
			text += ", "
		}
		text += n
	}
	if more := len(names) - namedFiles; more > 0 {
		text += fmt.Sprintf(" and %d more files", more)
	}
	return text[:min(len(text), objects.MaxMessage)]
}

// fileOf is the file of a place, FILE:LINE or FILE:LINE:COLUMN.
func fileOf(place string) string {
	for range 2 {
		i := len(place) - 1
		for i >= 0 && place[i] != ':' {
			i--
		}
		if i < 0 {
			return place
		}
		if _, err := strconv.Atoi(place[i+1:]); err != nil {
			return place
		}
		place = place[:i]
	}
	return place
}
