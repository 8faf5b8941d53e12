package accessdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

// record is a Record with what it was read as.
type record struct {
	access.Record
	m *manifest
}

func holds(c access.Condition, r *record) error {
	switch {
	case c.New && r != nil:
		return access.ErrExists
	case c.Version != 0 && (r == nil || r.Version != c.Version):
		return access.ErrChanged
	}
	return nil
}

func object(namespace, name string) string { return "Consumer/" + namespace + "/" + name }

func (s *Service) read(ctx context.Context, tx *statedb.Tx, namespace, name string) (*record, error) {
	row, err := tx.Consumer(ctx, namespace, name)
	if err != nil {
		return nil, named(err, "consumer "+namespace+"/"+name)
	}
	return recordOf(&row)
}

func recordOf(row *statedb.Consumer) (*record, error) {
	m, err := readManifest(row.Manifest)
	r := &record{m: m}
	r.Namespace, r.Name, r.Version, r.Created, r.Updated, r.Manifest = row.Namespace, row.Name, row.Version, row.Created, row.Updated, r.manifest
	return r, err
}

func (r *record) manifest(hashes bool) json.RawMessage {
	m := r.m
	if !hashes {
		m = m.redacted()
	}
	text, err := m.text()
	if err != nil { // what was read from JSON is JSON again
		return nil
	}
	return text
}

// Consumer reads one.
func (s *Service) Consumer(ctx context.Context, namespace, name string) (out *access.Record, err error) {
	err = s.db.Read(ctx, func(tx *statedb.Tx) error {
		r, err := s.read(ctx, tx, namespace, name)
		if err == nil {
			out = &r.Record
		}
		return err
	})
	return out, err
}

// one reads a single Consumer that was sent.
func oneManifest(text []byte) (*manifest, error) {
	list, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, access.Invalid("", "there must be one Consumer, and there are %d", len(list))
	}
	return list[0], nil
}

// Put writes a consumer from its manifest. With a name it must be that one's.
func (s *Service) Put(ctx context.Context, by access.Actor, namespace, name string, text []byte, c access.Condition) (r *access.Record, created bool, err error) {
	m, err := oneManifest(text)
	if err != nil {
		return nil, false, err
	}
	if name != "" && (m.Metadata.Namespace != namespace || m.Metadata.Name != name) {
		return nil, false, access.Invalid("metadata.name", "the Consumer is %s, and the path names %s/%s", m.name(), namespace, name)
	}
	err = s.change(ctx, m.Metadata.Namespace, m.Metadata.Name, func(tx *statedb.Tx, version int64, old *record) error {
		if err := holds(c, old); err != nil {
			return fmt.Errorf("consumer %s: %w", m.name(), err)
		}
		created = old == nil
		r, err = s.put(ctx, tx, by, version, old, m, "")
		return err
	})
	return r, created, err
}

// Edit changes a consumer's manifest by an edit of its JSON.
func (s *Service) Edit(ctx context.Context, by access.Actor, namespace, name string, c access.Condition, edit func(text []byte) ([]byte, error)) (r *access.Record, err error) {
	err = s.change(ctx, namespace, name, func(tx *statedb.Tx, version int64, old *record) error {
		if old == nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, name, statedb.ErrNotFound)
		}
		if err := holds(c, old); err != nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, name, err)
		}
		text, err := edit(old.Manifest(true))
		if err != nil {
			return err
		}
		m, err := oneManifest(text)
		if err != nil {
			return err
		}
		if m.name() != old.m.name() {
			return access.Invalid("metadata.name", "a consumer keeps its name and its namespace")
		}
		r, err = s.put(ctx, tx, by, version, old, m, "")
		return err
	})
	return r, err
}

// change runs f with the next version and the consumer as it is, nil if it is not.
func (s *Service) change(ctx context.Context, namespace, name string, f func(tx *statedb.Tx, version int64, old *record) error) error {
	if place, found := s.elsewhere(namespace, name); found {
		return fmt.Errorf("consumer %s/%s: %w: %s; change it there, or take it out of there first", namespace, name, access.ErrInFile, place)
	}
	return s.db.Write(ctx, func(tx *statedb.Tx) error {
		version, err := tx.Advance(ctx, statedb.Consumers)
		if err != nil {
			return err
		}
		old, err := s.read(ctx, tx, namespace, name)
		if err != nil && !errors.Is(err, statedb.ErrNotFound) {
			return err
		}
		return f(tx, version, old)
	})
}

// put writes a manifest and notes the change.
func (s *Service) put(ctx context.Context, tx *statedb.Tx, by access.Actor, version int64, old *record, m *manifest, action string) (*access.Record, error) {
	text, err := m.text()
	if err != nil {
		return nil, err
	}
	now := s.time()
	row := statedb.Consumer{Namespace: m.Metadata.Namespace, Name: m.Metadata.Name, Version: version, Created: now, Updated: now, Manifest: text}
	var before any
	if old != nil {
		row.Created, before = old.Created, old.m.redacted()
	}
	if action == "" {
		if action = "create"; old != nil {
			action = "update"
		}
	}
	if err := tx.PutConsumer(ctx, &row, m.digests(), old == nil); err != nil {
		var taken *statedb.TakenError
		if errors.As(err, &taken) {
			return nil, fmt.Errorf("consumer %s: %w: %w", m.name(), access.ErrTaken, taken)
		}
		return nil, err
	}
	if err := s.note(ctx, tx, by, action, object(row.Namespace, row.Name), before, m.redacted()); err != nil {
		return nil, err
	}
	r, err := recordOf(&row)
	if err != nil {
		return nil, err
	}
	return &r.Record, nil
}

// Delete takes a consumer away with its credentials.
func (s *Service) Delete(ctx context.Context, by access.Actor, namespace, name string, c access.Condition) error {
	return s.change(ctx, namespace, name, func(tx *statedb.Tx, version int64, old *record) error {
		if old == nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, name, statedb.ErrNotFound)
		}
		if err := holds(c, old); err != nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, name, err)
		}
		if err := tx.DeleteConsumer(ctx, namespace, name, version, s.time()); err != nil {
			return err
		}
		return s.note(ctx, tx, by, "delete", object(namespace, name), old.m.redacted(), nil)
	})
}
