package statedb

import (
	"context"
	"time"
)

// Revision is a row of a change of the configuration.
type Revision struct {
	Number         int64
	At             time.Time
	Actor, Message string
	// Origin is "api" or "files".
	Origin  string
	Omitted int
	Changes []RevisionChange
}

// RevisionChange is what a revision has done to an object.
type RevisionChange struct {
	ObjectKey
	Op, Place string
	// Sealed is that Was and Became are. Both are empty where only names are asked for.
	Sealed      bool
	Was, Became string
}

// RevisionFilter bounds what is read; see objects.Query.
type RevisionFilter struct {
	// Kind, Namespace and Name bound it to those that change this object; an empty Kind
	// does not.
	Kind, Namespace, Name string
	Before                int64
	Limit                 int
}

// AddRevision adds a change of the configuration, to whose number the transaction has
// advanced the area.
func (tx *Tx) AddRevision(ctx context.Context, r *Revision) error {
	_, err := tx.Exec(ctx, "INSERT INTO revisions (number, at, actor, message, origin, omitted) VALUES (?, ?, ?, ?, ?, ?)",
		r.Number, millis(r.At), r.Actor, r.Message, r.Origin, int64(r.Omitted))
	if err != nil {
		return err
	}
	s, err := tx.Prepare(ctx, "INSERT INTO revision_changes (number, position, op, grp, kind, namespace, name, place, sealed, was, became) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range r.Changes {
		c := &r.Changes[i]
		if _, err := s.ExecContext(ctx, r.Number, int64(i), c.Op, c.Group, c.Kind, c.Namespace, c.Name, c.Place, number(c.Sealed), c.Was, c.Became); err != nil {
			return err
		}
	}
	return nil
}

// Revisions reads changes without texts, the latest first.
func (tx *Tx) Revisions(ctx context.Context, q RevisionFilter) (out []Revision, err error) {
	query, args := "SELECT number, at, actor, message, origin, omitted FROM revisions WHERE 1 = 1", []any(nil)
	if q.Before > 0 {
		query, args = query+" AND number < ?", append(args, q.Before)
	}
	if q.Kind != "" {
		query += " AND number IN (SELECT number FROM revision_changes WHERE LOWER(kind) = LOWER(?) AND namespace = ? AND name = ?)"
		args = append(args, q.Kind, q.Namespace, q.Name)
	}
	err = tx.Each(ctx, query+" ORDER BY number DESC LIMIT ?", append(args, q.Limit), func(scan func(...any) error) error {
		r, err := scanRevision(scan)
		out = append(out, r)
		return err
	})
	if err != nil || len(out) == 0 {
		return out, err
	}
	at := make(map[int64]*Revision, len(out))
	for i := range out {
		at[out[i].Number] = &out[i]
	}
	err = tx.Each(ctx, "SELECT number, op, grp, kind, namespace, name, place FROM revision_changes WHERE number >= ? AND number <= ? ORDER BY number, position",
		[]any{out[len(out)-1].Number, out[0].Number}, func(scan func(...any) error) error {
			var n int64
			var c RevisionChange
			if err := scan(&n, &c.Op, &c.Group, &c.Kind, &c.Namespace, &c.Name, &c.Place); err != nil {
				return err
			}
			if r := at[n]; r != nil {
				r.Changes = append(r.Changes, c)
			}
			return nil
		})
	return out, err
}

func scanRevision(scan func(...any) error) (r Revision, err error) {
	var at, omitted int64
	if err := scan(&r.Number, &at, &r.Actor, &r.Message, &r.Origin, &omitted); err != nil {
		return r, err
	}
	r.At, r.Omitted = fromMillis(at), int(omitted)
	return r, nil
}

// Revision reads one with its texts, and answers ErrNotFound if there is none.
func (tx *Tx) Revision(ctx context.Context, n int64) (r Revision, err error) {
	err = ErrNotFound
	each := tx.Each(ctx, "SELECT number, at, actor, message, origin, omitted FROM revisions WHERE number = ?", []any{n},
		func(scan func(...any) error) error { r, err = scanRevision(scan); return err })
	if each != nil {
		return r, each
	}
	if err != nil {
		return r, err
	}
	err = tx.Each(ctx, "SELECT op, grp, kind, namespace, name, place, sealed, was, became FROM revision_changes WHERE number = ? ORDER BY position", []any{n},
		func(scan func(...any) error) error {
			var c RevisionChange
			var sealed int64
			if err := scan(&c.Op, &c.Group, &c.Kind, &c.Namespace, &c.Name, &c.Place, &sealed, &c.Was, &c.Became); err != nil {
				return err
			}
			c.Sealed = sealed != 0
			r.Changes = append(r.Changes, c)
			return nil
		})
	return r, err
}

// BeforeChanges reads what managed objects were before the first change of each after a
// revision: with it they are again what they were then.
func (tx *Tx) BeforeChanges(ctx context.Context, after int64, f func(RevisionChange) error) error {
	return tx.Each(ctx, `SELECT c.op, c.grp, c.kind, c.namespace, c.name, c.sealed, c.was FROM revision_changes c
		JOIN (SELECT x.grp, x.kind, x.namespace, x.name, MIN(x.number) AS first FROM revision_changes x JOIN revisions r ON r.number = x.number
			WHERE x.number > ? AND r.origin = 'api' GROUP BY x.grp, x.kind, x.namespace, x.name) y
		ON y.grp = c.grp AND y.kind = c.kind AND y.namespace = c.namespace AND y.name = c.name AND y.first = c.number
		ORDER BY c.grp, c.kind, c.namespace, c.name`, []any{after}, func(scan func(...any) error) error {
		var c RevisionChange
		var sealed int64
		if err := scan(&c.Op, &c.Group, &c.Kind, &c.Namespace, &c.Name, &sealed, &c.Was); err != nil {
			return err
		}
		c.Sealed = sealed != 0
		return f(c)
	})
}

// LastText is what an object became in the latest change of files that has it; empty if
// none is kept.
func (tx *Tx) LastText(ctx context.Context, k ObjectKey) (text string, err error) {
	err = tx.Each(ctx, `SELECT c.became FROM revision_changes c JOIN revisions r ON r.number = c.number
		WHERE r.origin = 'files' AND c.grp = ? AND c.kind = ? AND c.namespace = ? AND c.name = ? ORDER BY c.number DESC LIMIT 1`,
		[]any{k.Group, k.Kind, k.Namespace, k.Name}, func(scan func(...any) error) error { return scan(&text) })
	return text, err
}

// ForgetRevisions takes away all but the latest keep revisions, and those that were made
// before a time; the latest stays. It also takes away what is left of objects that were
// deleted before then, or long ago.
func (tx *Tx) ForgetRevisions(ctx context.Context, keep int, before, now time.Time) (n int64, err error) {
	latest, err := tx.Version(ctx, Objects)
	if err != nil {
		return 0, err
	}
	var old int64
	if err := tx.Get(ctx, "SELECT COALESCE(MAX(number), 0) FROM revisions WHERE at < ? AND number < ?", []any{millis(before), latest}, &old); err != nil {
		return 0, err
	}
	last := max(old, latest-int64(max(keep, 1)))
	if n, err = tx.Exec(ctx, "DELETE FROM revisions WHERE number <= ?", last); err != nil {
		return 0, err
	}
	if n > 0 {
		if _, err := tx.Exec(ctx, "DELETE FROM revision_changes WHERE number <= ?", last); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, "DELETE FROM objects WHERE deleted = 1 AND updated < ?", millis(now.Add(-deletedFor)))
	return n, err
}
