package state_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/source/state"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

func write(t *testing.T, db *statedb.DB, f func(tx *statedb.Tx, version int64) error) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *statedb.Tx) error {
		version, err := tx.Advance(t.Context(), statedb.Consumers)
		if err != nil {
			return err
		}
		return f(tx, version)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, db *statedb.DB, plan string, names ...string) {
	t.Helper()
	write(t, db, func(tx *statedb.Tx, version int64) error {
		for _, name := range names {
			c := &statedb.Consumer{Namespace: "default", Name: name, Version: version, Created: time.Now(), Updated: time.Now()}
			c.Manifest = fmt.Appendf(nil, `{"metadata":{"namespace":"default","name":%q},"spec":{"plan":%q}}`, name, plan)
			if err := tx.PutConsumer(t.Context(), c, nil, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func plans(s *state.Source) (out []string) {
	for _, o := range s.Objects() {
		out = append(out, o.Key.Name+"="+*o.Value.(*v1alpha1.Consumer).Spec.Plan)
	}
	return out
}

// What one process writes, the source of another one has.
func TestChangesArrive(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		writer, reader := statetest.Open(t, place), statetest.Open(t, place)
		put(t, writer, "gold", "b", "a", "d")
		changed := make(chan struct{}, 1)
		s := state.New(state.Options{DB: reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}})
		if _, err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := plans(s); !slices.Equal(got, []string{"a=gold", "b=gold", "d=gold"}) || len(s.Changes()) != 3 || len(s.Changes()) != 0 {
			t.Errorf("%v", got)
		}
		before := s.Objects()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		defer func() { stop(); <-done }()
		await := func(want ...string) {
			t.Helper()
			for deadline := time.After(time.Minute); ; {
				if slices.Equal(plans(s), want) {
					return
				}
				select {
				case <-changed:
				case <-deadline:
					t.Fatalf("%v, want %v", plans(s), want)
				}
			}
		}
		put(t, writer, "iron", "c", "b")
		await("a=gold", "b=iron", "c=iron", "d=gold")
		if now := s.Objects(); now[0] != before[0] || now[3] != before[2] || now[1] == before[1] {
			t.Error("objects that did not change are others")
		}
		write(t, writer, func(tx *statedb.Tx, version int64) error {
			return tx.DeleteConsumer(t.Context(), "default", "a", version, time.Now())
		})
		await("b=iron", "c=iron", "d=gold")
		put(t, writer, "new", "a")
		await("a=new", "b=iron", "c=iron", "d=gold")
		// A row that cannot be read leaves what was there.
		write(t, writer, func(tx *statedb.Tx, version int64) error {
			if _, err := tx.Exec(t.Context(), "UPDATE consumers SET manifest = '{', version = ? WHERE name = 'a'", version); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), "DELETE FROM consumers WHERE name = 'c'") // which nobody is told
			return err
		})
		put(t, writer, "late", "e")
		await("a=new", "b=iron", "c=iron", "d=gold", "e=late")
		// A backup has an older version: everything is read anew.
		write(t, writer, func(tx *statedb.Tx, _ int64) error {
			if _, err := tx.Exec(t.Context(), "DELETE FROM consumers WHERE name = 'a'"); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), "UPDATE feed SET version = 1")
			return err
		})
		await("b=iron", "d=gold", "e=late")
	})
}
