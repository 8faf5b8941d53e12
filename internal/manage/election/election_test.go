package election_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/election"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

const (
	work     = "test"
	lease    = 300 * time.Millisecond
	patience = time.Minute
)

// candidate is a process that takes part.
type candidate struct {
	*election.Elector
	db   *statedb.DB
	stop context.CancelFunc
	done chan struct{}
}

func stand(t *testing.T, place, name string) *candidate {
	t.Helper()
	c := &candidate{db: statetest.Open(t, place), done: make(chan struct{})}
	c.Elector = election.New(election.Options{DB: c.db, Work: work, Process: name, Lease: lease})
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	go func() {
		defer close(c.done)
		c.Run(ctx)
	}()
	t.Cleanup(c.end)
	return c
}

func (c *candidate) end() {
	c.stop()
	<-c.done
}

// elected waits until one of them is, and knows it.
func elected(t *testing.T, list ...*candidate) *candidate {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, c := range list {
			if _, ok := c.Mandate(); ok {
				return c
			}
		}
	}
	t.Fatal("nobody is elected")
	return nil
}

func TestOneIsElected(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a, b := stand(t, place, "a"), stand(t, place, "b")
		first := elected(t, a, b)
		second := a
		if first == a {
			second = b
		}
		for end := time.Now().Add(patience); second.State().Process == "" && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if s := second.State(); s.Self || s.Process != first.State().Process || s.Term != first.State().Term {
			t.Errorf("the other one knows %+v of %+v", s, first.State())
		}
		// One that ends says so: the other one does not wait for the end of the lease.
		term := first.State().Term
		first.end()
		if _, ok := first.Mandate(); ok {
			t.Error("one that has ended is elected")
		}
		if elected(t, second); second.State().Term != term+1 {
			t.Errorf("term %d after %d", second.State().Term, term)
		}
	})
}

// One that cannot reach the store knows that it is not elected any more before another one
// is; and what it had begun before counts for nothing.
func TestFencing(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		take := func(holder string, d time.Duration) (m statedb.Mandate) {
			t.Helper()
			if err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
				m, err = tx.TakeMandate(t.Context(), work, holder, d)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return m
		}
		by := func(m statedb.Mandate) error {
			return db.Write(t.Context(), func(tx *statedb.Tx) error { return tx.By(t.Context(), m) })
		}
		sleeper := take("sleeper", 50*time.Millisecond)
		if other := take("other", time.Hour); other != sleeper {
			t.Errorf("%+v while %+v holds", other, sleeper)
		}
		var other statedb.Mandate
		for end := time.Now().Add(patience); other.Holder != "other" && time.Now().Before(end); time.Sleep(time.Millisecond) {
			if err := by(sleeper); err != nil { // late, but nobody else was elected
				t.Fatal(err)
			}
			other = take("other", time.Hour)
		}
		if other.Term != sleeper.Term+1 {
			t.Errorf("%+v after %+v", other, sleeper)
		}
		if err := by(sleeper); !errors.Is(err, statedb.ErrNotElected) {
			t.Errorf("one whose term is over changes something: %v", err)
		}
		if err := by(other); err != nil {
			t.Error(err)
		}
	})
}

// Elections that are as many as possible: each term is one process's, and what counts is
// done by one at a time.
func TestNeverTwo(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		const processes, rounds = 4, 30
		var mu sync.Mutex
		holders := map[int64]string{} // by term
		var all sync.WaitGroup
		for p := range processes {
			db := statetest.Open(t, place)
			name := fmt.Sprint("p", p)
			all.Go(func() {
				for range rounds {
					var m statedb.Mandate
					if err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
						m, err = tx.TakeMandate(t.Context(), work, name, time.Millisecond)
						return err
					}); err != nil {
						t.Error(err)
						return
					}
					if m.Holder != name {
						continue
					}
					err := db.Write(t.Context(), func(tx *statedb.Tx) error { return tx.By(t.Context(), m) })
					if err != nil && !errors.Is(err, statedb.ErrNotElected) {
						t.Error(err)
					}
					mu.Lock()
					if was := holders[m.Term]; was != "" && was != name {
						t.Errorf("term %d of %s and of %s", m.Term, was, name)
					}
					holders[m.Term] = name
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(holders) == 0 {
			t.Error("nobody was elected")
		}
	})
}
