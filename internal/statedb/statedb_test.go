package statedb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

const testArea statedb.Area = "test"

// patience is for what must happen, on a machine however busy.
const patience = time.Minute

func advance(t *testing.T, db *statedb.DB, area statedb.Area) (version int64) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
		version, err = tx.Advance(t.Context(), area)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func version(t *testing.T, db *statedb.DB, area statedb.Area) (version int64) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *statedb.Tx) (err error) {
		version, err = tx.Version(t.Context(), area)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestWhatIsWrittenIsThereAfterwards(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		at, err := statedb.ParseLocation(place, "")
		if err != nil {
			t.Fatal(err)
		}
		var id string
		for round := range 3 {
			db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				id = db.Installation()
			}
			if got := db.Installation(); got != id || len(got) < 20 {
				t.Errorf("installation %q, then %q", id, got)
			}
			if got := version(t, db, testArea); got != int64(round) {
				t.Errorf("version %d when opened for the %d. time", got, round+1)
			}
			if got := advance(t, db, testArea); got != int64(round+1) {
				t.Errorf("advanced to %d", got)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestATransactionCountsAsAWholeOrNotAtAll(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		broken := errors.New("broken")
		err := db.Write(t.Context(), func(tx *statedb.Tx) error {
			if _, err := tx.Advance(t.Context(), testArea); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		if got := version(t, db, testArea); got != 0 {
			t.Errorf("version %d of what was taken back", got)
		}
		err = db.Read(t.Context(), func(tx *statedb.Tx) error {
			_, err := tx.Exec(t.Context(), "DELETE FROM installation")
			return err
		})
		if err == nil {
			t.Error("a transaction that reads has written")
		}
	})
}

func TestDuplicatesAndWhatIsNotThere(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		insert := func(tx *statedb.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO installation (name, value) VALUES (?, ?)", "a", "b")
			return err
		}
		if err := db.Write(t.Context(), insert); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), insert); !statedb.IsDuplicate(err) {
			t.Errorf("twice the same key: %v", err)
		}
		var value string
		err := db.Read(t.Context(), func(tx *statedb.Tx) error {
			return tx.Get(t.Context(), "SELECT value FROM installation WHERE name = ?", []any{"c"}, &value)
		})
		if !errors.Is(err, statedb.ErrNotFound) || statedb.IsDuplicate(err) {
			t.Errorf("what is not there: %v", err)
		}
	})
}

// Many processes, which have nothing in common but the store, count exactly.
func TestVersionsAreTakenOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		const processes, each = 4, 25
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = map[int64]bool{}
		)
		for range processes {
			db := statetest.Open(t, place)
			wg.Go(func() {
				for range each {
					var v int64
					err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
						v, err = tx.Advance(t.Context(), testArea)
						return err
					})
					mu.Lock()
					if err != nil || seen[v] {
						t.Errorf("version %d, taken before: %v; %v", v, seen[v], err)
					}
					seen[v] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if got := version(t, statetest.Open(t, place), testArea); got != processes*each {
			t.Errorf("version %d after %d changes", got, processes*each)
		}
	})
}

// Processes that start at the same time make the tables once.
func TestTablesAreMadeByOneOfMany(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		at, err := statedb.ParseLocation(place, "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		ids := make([]string, 6)
		for i := range ids {
			wg.Go(func() {
				db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = db.Installation()
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Errorf("installations %q", ids)
			}
		}
	})
}

func TestANewerStoreIsRefused(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		err := db.Write(t.Context(), func(tx *statedb.Tx) error {
			applied := "1"
			if !strings.HasPrefix(place, "sqlite") {
				applied = "true"
			}
			_, err := tx.Exec(t.Context(), "INSERT INTO gridway_migrations (version_id, is_applied) VALUES (9999, "+applied+")")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		at, err := statedb.ParseLocation(place, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = statedb.Open(t.Context(), statedb.Options{Location: at})
		if !errors.Is(err, statedb.ErrNewer) || !strings.Contains(err.Error(), "9999") {
			t.Errorf("a store of version 9999: %v", err)
		}
	})
}

func await(t *testing.T, w *statedb.Watcher, what string) {
	t.Helper()
	select {
	case <-w.C():
	case <-time.After(patience):
		t.Fatalf("%s: nobody was told", what)
	}
}

func TestChangesAreToldToEverybody(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		one, other := statetest.Open(t, place), statetest.Open(t, place)
		here, there := one.Watch(testArea), other.Watch(testArea)
		defer there.Stop()
		await(t, there, "the first look")
		for range 5 {
			advance(t, one, testArea)
			await(t, here, "the process itself")
			await(t, there, "the other process")
		}
		here.Stop()
		select {
		case <-here.C():
		default:
		}
		advance(t, one, testArea)
		select {
		case <-here.C():
			t.Error("who has stopped is told of a change")
		default:
		}
	})
}

func TestLocations(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"sqlite":                  "SQLite file " + dir + "/state.db",
		"sqlite:/x/y.db":          "SQLite file /x/y.db",
		"sqlite:///x/y.db":        "SQLite file /x/y.db",
		"postgres://u@h/d":        "PostgreSQL database d at h:5432",
		"postgresql://u@h:99/d":   "PostgreSQL database d at h:99",
		"postgres:///d?host=/run": "PostgreSQL database d at /run",
	} {
		at, err := statedb.ParseLocation(text, dir)
		if err != nil || at.String() != want {
			t.Errorf("%s: %q, %v", text, at, err)
		}
	}
	for _, text := range []string{
		"", "off", "sqlite:", "mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "postgres://u:hun%ter2@h/d", "/var/lib/state.db",
		"postgres://u:hunter2@h/d?sslmode=nonsense", "postgres:///u:hunter2@h/d", "postgres://u:hunter2@h/d?connect_timeout=x", "postgres://u:hunter2@[::1/d",
		"postgres://u:hunter2@h/d?sslrootcert=/nonexistent/ca&sslmode=verify-full",
	} {
		_, err := statedb.ParseLocation(text, dir)
		if !errors.Is(err, statedb.ErrLocation) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "hun%") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func open(t *testing.T, place string) error {
	t.Helper()
	at, err := statedb.ParseLocation(place, "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
	if err == nil {
		t.Error("it was opened")
		_ = db.Close()
	}
	return err
}

func TestSecretsOfAServerAreNotTold(t *testing.T) {
	place := statetest.Postgres(t)
	for name, url := range map[string]string{
		"nobody listens":   "postgres://someone:hunter2@127.0.0.1:1/db",
		"no such socket":   "postgres://someone:hunter2@/db?host=/nonexistent",
		"no such database": strings.Replace(place, "/test", "/other", 1) + "&password=hunter2",
	} {
		err := open(t, url)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
}

func TestTheFileIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder", "100% of?it#.db")
	db := statetest.Open(t, "sqlite:"+path)
	advance(t, db, testArea)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, info, err)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v, %v", info, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	statetest.Open(t, "sqlite:"+path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file that others can read: %v, %v", info, err)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	db := statetest.Open(t, "sqlite:"+good)
	if err := db.Write(t.Context(), func(tx *statedb.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO installation (name, value) VALUES ('long', ?)", strings.Repeat("x", 100<<10))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	holed := append([]byte{}, text...)
	for i := 4096; i < 20<<10; i++ {
		holed[i] = 0xa5
	}
	for name, content := range map[string][]byte{
		"text": []byte("this is a text and no database, which goes on for some time"), "cut": text[:len(text)/2], "holed": holed,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, "sqlite:"+path); !errors.Is(err, statedb.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || len(after) != len(content) {
			t.Errorf("%s: the file was touched", name)
		}
	}
	var path *fs.PathError
	if err := open(t, "sqlite:"+dir); !errors.As(err, &path) {
		t.Errorf("a folder: %v", err)
	}
}

func TestAServerThatGoesAwayIsFoundAgain(t *testing.T) {
	place := statetest.Postgres(t)
	one, other := statetest.Open(t, place), statetest.Open(t, place)
	w := other.Watch(testArea)
	await(t, w, "the first look")
	statetest.Kick(t, place)
	await(t, w, "the connection is there again")
	for n := int64(1); n < 4; n++ {
		advance(t, one, testArea)
		for version(t, other, testArea) < n {
			await(t, w, "a change")
		}
	}
}

func TestWaitingEnds(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Write(ctx, func(*statedb.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A process that is cut off or stopped in the middle of a change, and keeps what others
// wait for, does not stop them: the server ends its transaction, of which nothing stays.
func TestStalledTransaction(t *testing.T) {
	t.Parallel()
	place := statetest.Postgres(t)
	stalled, other := statetest.Open(t, place), statetest.Open(t, place)
	began, done := make(chan struct{}), make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		ended <- stalled.Write(t.Context(), func(tx *statedb.Tx) error {
			_, err := tx.Advance(t.Context(), testArea)
			once.Do(func() { close(began) })
			<-done
			return err
		})
	}()
	<-began
	if v := advance(t, other, testArea); v != 1 {
		t.Errorf("version %d after a change that did not come about", v)
	}
	close(done)
	if err := <-ended; !errors.Is(err, statedb.ErrUnavailable) {
		t.Errorf("the change that stalled: %v", err)
	}
	if v := advance(t, stalled, testArea); v != 2 {
		t.Errorf("version %d", v)
	}
}
