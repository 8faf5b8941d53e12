package statedb

import (
	"context"
	"time"
)

// Objects is the area of managed objects and of revisions, whose numbers are its versions.
const Objects Area = "objects"

// ObjectKey is what an object is known by.
type ObjectKey struct{ Group, Kind, Namespace, Name string }

// Object is a row of an object.
type Object struct {
	ObjectKey
	Version          int64
	Created, Updated time.Time
	// Deleted: it is not there any more, and has no text.
	Deleted bool
	// Sealed: Text is not the object's, but can be opened.
	Sealed bool
	Text   string
}

const objectColumns = "grp, kind, namespace, name, version, created, updated, deleted, sealed, source"

// ObjectsChanged reads what has changed after a version, in the order of the changes.
func (tx *Tx) ObjectsChanged(ctx context.Context, version int64, f func(Object) error) error {
	return tx.Each(ctx, "SELECT "+objectColumns+" FROM objects WHERE version > ? ORDER BY version, grp, kind, namespace, name", []any{version},
		func(scan func(...any) error) error {
			var o Object
			var created, updated, deleted, sealed int64
			if err := scan(&o.Group, &o.Kind, &o.Namespace, &o.Name, &o.Version, &created, &updated, &deleted, &sealed, &o.Text); err != nil {
				return err
			}
			o.Created, o.Updated, o.Deleted, o.Sealed = fromMillis(created), fromMillis(updated), deleted != 0, sealed != 0
			return f(o)
		})
}

// PutObject writes an object, which is new or replaces itself. The transaction has
// advanced the area to o.Version.
func (tx *Tx) PutObject(ctx context.Context, o *Object) error {
	_, err := tx.Exec(ctx, `INSERT INTO objects (`+objectColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
		ON CONFLICT (grp, kind, namespace, name) DO UPDATE SET version = excluded.version,
			created = CASE WHEN objects.deleted = 0 THEN objects.created ELSE excluded.created END,
			updated = excluded.updated, deleted = 0, sealed = excluded.sealed, source = excluded.source`,
		o.Group, o.Kind, o.Namespace, o.Name, o.Version, millis(o.Created), millis(o.Updated), number(o.Sealed), o.Text)
	return err
}

// DeleteObject takes one away, and answers ErrNotFound if there is none. The transaction
// has advanced the area to version.
func (tx *Tx) DeleteObject(ctx context.Context, k ObjectKey, version int64, now time.Time) error {
	n, err := tx.Exec(ctx, "UPDATE objects SET deleted = 1, sealed = 0, source = '', version = ?, updated = ? WHERE grp = ? AND kind = ? AND namespace = ? AND name = ? AND deleted = 0",
		version, millis(now), k.Group, k.Kind, k.Namespace, k.Name)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// FileObjects reads the objects of files as the latest revision of them has it.
func (tx *Tx) FileObjects(ctx context.Context, f func(k ObjectKey, digest string) error) error {
	return tx.Each(ctx, "SELECT grp, kind, namespace, name, digest FROM file_objects", nil, func(scan func(...any) error) error {
		var k ObjectKey
		var digest string
		if err := scan(&k.Group, &k.Kind, &k.Namespace, &k.Name, &digest); err != nil {
			return err
		}
		return f(k, digest)
	})
}

// FileObject is the digest of one of them; empty is that there is none.
func (tx *Tx) FileObject(ctx context.Context, k ObjectKey) (digest string, err error) {
	err = tx.Each(ctx, "SELECT digest FROM file_objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?", []any{k.Group, k.Kind, k.Namespace, k.Name},
		func(scan func(...any) error) error { return scan(&digest) })
	return digest, err
}

// PutFileObject notes what an object of a file is now; an empty digest is that it is gone.
func (tx *Tx) PutFileObject(ctx context.Context, k ObjectKey, digest string) error {
	if digest == "" {
		_, err := tx.Exec(ctx, "DELETE FROM file_objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?", k.Group, k.Kind, k.Namespace, k.Name)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO file_objects (grp, kind, namespace, name, digest) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (grp, kind, namespace, name) DO UPDATE SET digest = excluded.digest`, k.Group, k.Kind, k.Namespace, k.Name, digest)
	return err
}

// number is a truth as both dialects keep it.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
