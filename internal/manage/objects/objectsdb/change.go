package objectsdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/statedb"
)

// tries bounds how often a change is judged anew because others have changed something
// meanwhile.
const tries = 10

// errMeanwhile: somebody else's change came first.
var errMeanwhile = errors.New("the configuration was changed meanwhile")

// Apply makes or changes the objects of a text, all of them or none.
func (s *Service) Apply(ctx context.Context, by access.Actor, text []byte, o objects.Options) (*objects.Applied, error) {
	in, err := parse(text)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, by, "apply", o, func(now *managed.State) ([]wanted, []store.Problem, error) {
		list := make([]wanted, len(in.objects))
		for i, x := range in.objects {
			list[i] = wanted{key: x.Key, before: now.Find(x.Key), after: x}
		}
		return list, in.problems, nil
	})
}

// Delete takes a managed object away. Its kind is found in any case of letters.
func (s *Service) Delete(ctx context.Context, by access.Actor, n objects.Name, o objects.Options) (*objects.Applied, error) {
	return s.change(ctx, by, "delete", o, func(now *managed.State) ([]wanted, []store.Problem, error) {
		i := slices.IndexFunc(now.Objects, func(x *managed.Object) bool {
			return strings.EqualFold(x.Key.Kind, n.Kind) && x.Key.Namespace == n.Namespace && x.Key.Name == n.Name
		})
		if i >= 0 {
			return []wanted{{key: now.Objects[i].Key, before: now.Objects[i]}}, nil, nil
		}
		for _, p := range now.Problems { // one that cannot be read can be taken away all the same
			if k := p.Object; strings.EqualFold(k.Kind, n.Kind) && k.Namespace == n.Namespace && k.Name == n.Name {
				return []wanted{{key: k, before: &managed.Object{Object: &store.Object{Key: k}, Text: unreadable}}}, nil, nil
			}
		}
		if place, found := s.fileHas(n); found {
			return nil, nil, fmt.Errorf("%s: %w: %s; take it out of there", n, objects.ErrInFile, place)
		}
		return nil, nil, fmt.Errorf("%s: %w", n, statedb.ErrNotFound)
	})
}

// fileHas finds the place of an object in a file by its name alone.
func (s *Service) fileHas(n objects.Name) (place string, found bool) {
	return s.opt.InFile(store.Key{Kind: n.Kind, Namespace: n.Namespace, Name: n.Name})
}

// change makes one revision of what plan wants, which is asked again if somebody else was
// first.
func (s *Service) change(ctx context.Context, by access.Actor, action string, o objects.Options, plan func(*managed.State) ([]wanted, []store.Problem, error)) (*objects.Applied, error) {
	if len(o.Message) > objects.MaxMessage {
		return nil, fmt.Errorf("the message has %d bytes, at most %d are kept: %w", len(o.Message), objects.MaxMessage, objects.ErrTooMuch)
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for n := 1; ; n++ {
		if _, err := s.opt.Source.Load(ctx); err != nil {
			return nil, err
		}
		now := s.opt.Source.State()
		out, err := s.try(ctx, by, action, o, &now, plan)
		if errors.Is(err, errMeanwhile) && n < tries {
			continue
		}
		if errors.Is(err, errMeanwhile) {
			err = fmt.Errorf("%w %d times while this change was judged; try again", objects.ErrChanged, n)
		}
		return out, err
	}
}

func (s *Service) try(ctx context.Context, by access.Actor, action string, o objects.Options, now *managed.State, plan func(*managed.State) ([]wanted, []store.Problem, error)) (*objects.Applied, error) {
	if o.Expect > 0 && o.Expect != now.Revision {
		return nil, fmt.Errorf("%w: it has revision %d, and %d was expected; look at what has changed, and apply again", objects.ErrChanged, now.Revision, o.Expect)
	}
	list, warnings, err := plan(now)
	if err != nil {
		return nil, err
	}
	out := &objects.Applied{Revision: now.Revision, DryRun: o.DryRun, Changes: []objects.Change{}}
	var real []wanted
	objectsAfter := len(now.Objects)
	for i := range list {
		op := list[i].op()
		out.Changes = append(out.Changes, objects.Change{Op: op, Name: name(list[i].key)})
		switch op {
		case objects.Created:
			objectsAfter++
		case objects.Deleted:
			objectsAfter--
		}
		if op != objects.Unchanged {
			real = append(real, list[i])
		}
	}
	if objectsAfter > objects.MaxObjects {
		return nil, fmt.Errorf("there would be %d managed objects, at most %d are kept: %w", objectsAfter, objects.MaxObjects, objects.ErrTooMuch)
	}
	if err := s.permitted(by, list); err != nil {
		return nil, err
	}
	found, err := s.judge(now, list)
	if err != nil {
		return nil, err
	}
	out.Warnings = diagnostics(append(slices.Clone(warnings), found...))
	if o.DryRun || len(real) == 0 {
		return out, nil
	}
	if out.Revision, err = s.write(ctx, by, action, o, now.Revision, real); err != nil {
		return nil, err
	}
	if err := s.opt.Stored(ctx); err != nil {
		out.Warnings = append(out.Warnings, objects.Diagnostic{
			Code: "NotInService", Message: fmt.Sprintf("revision %d is stored, and not wholly in service here: %v", out.Revision, err), Hint: `"gridway status" says what serves`,
		})
	}
	return out, nil
}

// write keeps a change that was judged against a revision.
func (s *Service) write(ctx context.Context, by access.Actor, action string, o objects.Options, judged int64, list []wanted) (number int64, err error) {
	rows := make([]statedb.RevisionChange, len(list))
	for i := range list {
		if rows[i], err = s.row(&list[i]); err != nil {
			return 0, err
		}
	}
	now := s.time()
	err = s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		version, err := tx.Advance(ctx, statedb.Objects)
		if err != nil {
			return err
		}
		if version != judged+1 {
			return errMeanwhile
		}
		number = version
		for i := range rows {
			r := &rows[i]
			if r.Became == "" {
				err = tx.DeleteObject(ctx, r.ObjectKey, version, now)
			} else {
				err = tx.PutObject(ctx, &statedb.Object{ObjectKey: r.ObjectKey, Version: version, Created: now, Updated: now, Sealed: r.Sealed, Text: r.Became})
			}
			if err != nil {
				return fmt.Errorf("%s: %w", list[i].key, err)
			}
			if err := s.opt.Audit.Note(ctx, tx, by, action, list[i].key.String(), nil, map[string]any{"revision": version, "op": r.Op}); err != nil {
				return err
			}
		}
		return tx.AddRevision(ctx, &statedb.Revision{Number: version, At: now, Actor: by.Name, Message: o.Message, Origin: string(objects.API), Changes: rows})
	})
	return number, err
}

// row is a change as it is kept: texts of Secrets are sealed.
func (s *Service) row(w *wanted) (statedb.RevisionChange, error) {
	r := statedb.RevisionChange{ObjectKey: statedb.ObjectKey(w.key), Op: string(w.op())}
	if w.before != nil {
		r.Was = w.before.Text
	}
	if w.after != nil {
		r.Became = w.after.Text
	}
	if w.key.Group != "" || w.key.Kind != "Secret" {
		return r, nil
	}
	if s.opt.Seals == nil {
		return r, fmt.Errorf("%s: %w: there is no secret to seal it by", w.key, objects.ErrSeal)
	}
	keys, err := s.opt.Seals()
	if err != nil {
		return r, fmt.Errorf("%s: %w: %w", w.key, objects.ErrSeal, err)
	}
	r.Sealed = true
	for _, text := range []*string{&r.Was, &r.Became} {
		if *text != "" {
			*text = string(keys.Seal(nil, managed.Purpose(w.key), []byte(*text)))
		}
	}
	return r, nil
}
