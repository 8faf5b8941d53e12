package objectsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/statedb"
)

// Kept is how long revisions stay; the latest stays for ever.
const Kept = 400 * 24 * time.Hour

// Forget takes revisions away that are not among the latest keep, or older than Kept.
func (s *Service) Forget(ctx context.Context, keep int) (n int64, err error) {
	now := s.time()
	err = s.opt.DB.Write(ctx, func(tx *statedb.Tx) (err error) {
		n, err = tx.ForgetRevisions(ctx, keep, now.Add(-Kept), now)
		return err
	})
	return n, err
}

// Revisions lists changes of the configuration, the latest first, without texts.
func (s *Service) Revisions(ctx context.Context, q objects.Query) ([]objects.Revision, error) {
	f := statedb.RevisionFilter{Before: q.Before, Limit: q.Limit}
	if f.Limit < 1 || f.Limit > objects.MaxPage {
		f.Limit = objects.MaxPage
	}
	if q.Object != nil {
		f.Kind, f.Namespace, f.Name = q.Object.Kind, q.Object.Namespace, q.Object.Name
	}
	var rows []statedb.Revision
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows, err = tx.Revisions(ctx, f)
		return err
	})
	out := make([]objects.Revision, 0, len(rows))
	for i := range rows {
		out = append(out, revisionOf(&rows[i]))
	}
	return out, err
}

func revisionOf(r *statedb.Revision) objects.Revision {
	out := objects.Revision{Number: r.Number, At: r.At, By: r.Actor, Message: r.Message, Source: objects.Source(r.Origin), Omitted: r.Omitted, Changes: []objects.ObjectChange{}}
	for i := range r.Changes {
		c := &r.Changes[i]
		out.Changes = append(out.Changes, objects.ObjectChange{Op: objects.Op(c.Op), Name: objects.Name{Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}, Place: c.Place})
	}
	return out
}

// Revision is one with its texts, and with the values of those that may have secrets.
func (s *Service) Revision(ctx context.Context, number int64) (*objects.Revision, error) {
	var row statedb.Revision
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		row, err = revision(ctx, tx, number)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := revisionOf(&row)
	for i := range row.Changes {
		c := &row.Changes[i]
		to := &out.Changes[i]
		if out.Source == objects.Files { // what is kept of those has no secrets
			to.Before, to.After = c.Was, c.Became
			continue
		}
		to.Before, to.BeforeValue = s.shown(c, c.Was)
		to.After, to.AfterValue = s.shown(c, c.Became)
	}
	return &out, nil
}

// revision reads a row, and tells one that was forgotten from one that never was.
func revision(ctx context.Context, tx *statedb.Tx, number int64) (statedb.Revision, error) {
	row, err := tx.Revision(ctx, number)
	if !errors.Is(err, statedb.ErrNotFound) {
		return row, err
	}
	latest, vErr := tx.Version(ctx, statedb.Objects)
	if vErr != nil {
		return row, vErr
	}
	if number >= 1 && number <= latest {
		return row, fmt.Errorf("revision %d: %w", number, objects.ErrForgotten)
	}
	return row, &objects.NotFoundError{Number: number, Latest: latest}
}

// unreadable stands for a text that cannot be opened.
const unreadable = "# sealed by a secret that this gateway does not have\n"

// shown is a text with its value.
func (s *Service) shown(c *statedb.RevisionChange, kept string) (string, json.RawMessage) {
	if kept == "" {
		return "", nil
	}
	text, err := managed.Open(s.opt.Seals, store.Key(c.ObjectKey), c.Sealed, kept)
	if err != nil {
		return unreadable, nil
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return unreadable, nil
	}
	value, err := json.Marshal(v)
	if err != nil {
		return unreadable, nil
	}
	return text, value
}

// Rollback makes the managed objects what they were after a revision, in a new one.
func (s *Service) Rollback(ctx context.Context, by access.Actor, number int64, o objects.Options) (*objects.Applied, error) {
	if o.Message == "" {
		o.Message = fmt.Sprintf("roll back to revision %d", number)
	}
	return s.change(ctx, by, "rollback", o, func(now *managed.State) ([]wanted, []store.Problem, error) {
		var then []statedb.RevisionChange
		err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
			then = then[:0]
			row, err := revision(ctx, tx, number)
			if err != nil {
				return err
			}
			if row.Origin == string(objects.Files) {
				return ofFiles(&row)
			}
			return tx.BeforeChanges(ctx, number, func(c statedb.RevisionChange) error {
				then = append(then, c)
				return nil
			})
		})
		if err != nil {
			return nil, nil, err
		}
		list, err := s.restored(now, then)
		return list, nil, err
	})
}

// ofFiles says where a change of files has to be undone.
func ofFiles(r *statedb.Revision) error {
	var places string
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Place != "" {
			places = fmt.Sprintf("%s (%s)", c.Place, store.Key(c.ObjectKey))
			if len(r.Changes) > 1 {
				places += fmt.Sprintf(" and %d more", len(r.Changes)-1)
			}
			break
		}
	}
	return fmt.Errorf("revision %d: %w, which cannot be rolled back here: change the file, %s", r.Number, objects.ErrFiles, places)
}

// restored are the objects that are not what they were then.
func (s *Service) restored(now *managed.State, then []statedb.RevisionChange) (list []wanted, err error) {
	var wrong []store.Problem
	size := 0
	for i := range then {
		c := &then[i]
		k := store.Key(c.ObjectKey)
		w := wanted{key: k, before: now.Find(k)}
		text, err := managed.Open(s.opt.Seals, k, c.Sealed, c.Was)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", k, objects.ErrSeal, err)
		}
		size += len(text)
		if text != "" {
			o, problems := managed.Decode(k, text)
			if wrong = append(wrong, problems...); o == nil || len(problems) > 0 {
				continue
			}
			w.after = &managed.Object{Object: o, Text: text}
		}
		if w.before != nil || w.after != nil {
			list = append(list, w)
		}
	}
	if len(wrong) > 0 {
		return nil, invalid(wrong)
	}
	list = different(list)
	if size > objects.MaxChange || len(list) > objects.MaxChanged {
		return nil, fmt.Errorf("%d objects with %d bytes would change, and one change has at most %d with %d; roll back to a later revision first: %w",
			len(list), size, objects.MaxChanged, objects.MaxChange, objects.ErrTooMuch)
	}
	return list, nil
}

func different(list []wanted) (out []wanted) {
	for _, w := range list {
		if w.op() != objects.Unchanged {
			out = append(out, w)
		}
	}
	return out
}
