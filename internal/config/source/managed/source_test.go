package managed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

// patience bounds the wait for what another goroutine does.
const patience = 30 * time.Second

func configMap(name string) store.Key {
	return store.Key{Kind: "ConfigMap", Namespace: "default", Name: name}
}

func textOf(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q}\n", name, value)
}

// put makes one version in which rows are what they are given as; one without a text is
// deleted.
func put(t *testing.T, db *statedb.DB, rows ...statedb.Object) (version int64) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
		if version, err = tx.Advance(t.Context(), statedb.Objects); err != nil {
			return err
		}
		for _, o := range rows {
			o.Version = version
			if o.Text == "" {
				err = tx.DeleteObject(t.Context(), o.ObjectKey, version, time.Now())
			} else {
				err = tx.PutObject(t.Context(), &o)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func row(k store.Key, text string) statedb.Object {
	return statedb.Object{ObjectKey: statedb.ObjectKey(k), Text: text}
}

func load(t *testing.T, s *managed.Source) (changed bool) {
	t.Helper()
	changed, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// names are the objects, NAME@REVISION=VALUE.
func names(s *managed.Source) (out []string) {
	state := s.State()
	for _, o := range state.Objects {
		_, value, _ := strings.Cut(o.Text, "value: ")
		out = append(out, fmt.Sprintf("%s@%d=%s", o.Key.Name, o.Revision, strings.Trim(value, "\"}\n")))
	}
	return out
}

func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A source reads everything once, and then what is new: changes, deletions, and objects
// that come back.
func TestLoadReadsWhatIsNew(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		told := 0
		s := managed.New(managed.Options{DB: db, Changed: func() { told++ }})
		if load(t, s) || told != 0 || len(s.State().Objects) != 0 || s.State().Revision != 0 {
			t.Errorf("of an empty store: %+v", s.State())
		}
		put(t, db, row(configMap("b"), textOf("b", "1")), row(configMap("a"), textOf("a", "1")))
		before := s.State()
		if !load(t, s) || told != 1 {
			t.Error("what is new is not told")
		}
		wants(t, "in their order", names(s), "a@1=1", "b@1=1")
		if len(before.Objects) != 0 {
			t.Error("a state that was asked for has changed")
		}
		if load(t, s) || told != 1 {
			t.Error("nothing is told as news")
		}
		put(t, db, row(configMap("b"), textOf("b", "2")), row(configMap("c"), textOf("c", "1")))
		put(t, db, row(configMap("a"), ""))
		load(t, s)
		wants(t, "later", names(s), "b@2=2", "c@2=1")
		if got := s.State(); got.Revision != 3 || got.Find(configMap("a")) != nil || got.Find(configMap("c")).Source != managed.Name || len(got.Plain()) != 2 {
			t.Errorf("%+v", got)
		}
		changes := s.Changes()
		slices.SortFunc(changes, managed.Compare)
		if changes = slices.Compact(changes); !slices.Equal(changes, []store.Key{configMap("a"), configMap("b"), configMap("c")}) || len(s.Changes()) != 0 {
			t.Errorf("what has changed: %v", changes)
		}
		put(t, db, row(configMap("a"), textOf("a", "3")))
		load(t, s)
		wants(t, "what comes back", names(s), "a@4=3", "b@2=2", "c@2=1")
		// A version that changes no object, as one of files does.
		put(t, db)
		if load(t, s) || s.State().Revision != 5 {
			t.Errorf("a revision of files: %+v", s.State())
		}
		// A process that starts reads what is there, and nothing of what was deleted.
		put(t, db, row(configMap("a"), ""))
		fresh := managed.New(managed.Options{DB: db})
		load(t, fresh)
		wants(t, "after a start", names(fresh), "b@2=2", "c@2=1")
	})
}

// A store that was put back from a backup has fewer versions: all is read anew, and what
// the backup does not have is gone.
func TestAStoreFromABackup(t *testing.T) {
	db := statetest.Open(t, statetest.SQLite(t))
	s := managed.New(managed.Options{DB: db})
	put(t, db, row(configMap("old"), textOf("old", "1")))
	put(t, db, row(configMap("new"), textOf("new", "1")))
	load(t, s)
	s.Changes()
	if err := db.Write(t.Context(), func(tx *statedb.Tx) error {
		_, err := tx.Exec(t.Context(), "DELETE FROM objects WHERE version > 1")
		if err == nil {
			_, err = tx.Exec(t.Context(), "UPDATE feed SET version = 1 WHERE area = ?", string(statedb.Objects))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !load(t, s) {
		t.Error("nothing has changed")
	}
	wants(t, "from the backup", names(s), "old@1=1")
	if got := s.Changes(); !slices.Contains(got, configMap("new")) || !slices.Contains(got, configMap("old")) {
		t.Errorf("what has changed: %v", got)
	}
}

// An object that cannot be read keeps its last good version, and stands for a closed one
// where it must not be taken for absent; the others are read.
func TestWhatCannotBeRead(t *testing.T) {
	db := statetest.Open(t, statetest.SQLite(t))
	s := managed.New(managed.Options{DB: db})
	policy := store.Key{Group: "gridway.dev", Kind: "AuthorizationPolicy", Namespace: "default", Name: "closed"}
	put(t, db,
		row(configMap("a"), textOf("a", "1")), row(configMap("other"), textOf("elsewhere", "1")), row(configMap("broken"), "kind: [\n"),
		row(policy, "apiVersion: gridway.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: closed}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n  action: Allow\n  rules: [{name: all}]\n  nonsense: true\n"))
	load(t, s)
	state := s.State()
	if o := state.Find(policy); o == nil || !o.Broken {
		t.Errorf("the policy is %+v", o)
	}
	if state.Find(configMap("a")) == nil || state.Find(configMap("other")) != nil || state.Find(configMap("elsewhere")) != nil || state.Find(configMap("broken")) != nil {
		t.Errorf("%v", names(s))
	}
	places := map[string]store.Problem{}
	for _, p := range state.Problems {
		if p.Severity != store.Error || !strings.Contains(p.Remedy, "apply it again") {
			t.Errorf("%+v", p)
		}
		places[p.Position.File] = p
	}
	if p := places["managed/AuthorizationPolicy/default/closed"]; len(places) != 3 || p.Object != policy || p.Position.Line != 8 || !strings.Contains(p.Message, "nonsense") {
		t.Errorf("%+v", places)
	}

	put(t, db, row(configMap("a"), "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: 3\n"))
	load(t, s)
	wants(t, "the last good one", slices.DeleteFunc(names(s), func(n string) bool { return !strings.HasPrefix(n, "a@") }), "a@1=1")
	if len(s.State().Problems) != 4 {
		t.Errorf("%+v", s.State().Problems)
	}
	put(t, db, row(configMap("a"), textOf("a", "2")), row(configMap("other"), textOf("other", "2")), row(configMap("broken"), ""), row(policy, ""))
	load(t, s)
	wants(t, "mended", names(s), "a@3=2", "other@3=2")
	if list := s.State().Problems; len(list) != 0 {
		t.Errorf("mended: %+v", list)
	}
}

// Secrets are opened by the secrets that there are, each in its own place only.
func TestSealedObjects(t *testing.T) {
	db := statetest.Open(t, statetest.SQLite(t))
	keys := seal.New([][]byte{[]byte(strings.Repeat("k", 32))}, managed.Use)
	secret := func(name string) store.Key { return store.Key{Kind: "Secret", Namespace: "default", Name: name} }
	sealed := func(at, name, value string) statedb.Object {
		text := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {value: %q}\n", name, value)
		o := row(secret(at), string(keys.Seal(nil, managed.Purpose(secret(name)), []byte(text))))
		o.Sealed = true
		return o
	}
	put(t, db, sealed("a", "a", "hunter2"), sealed("moved", "a", "hunter2"))
	s := managed.New(managed.Options{DB: db, Seals: func() (seal.Keys, error) { return keys, nil }})
	load(t, s)
	wants(t, "opened", names(s), "a@1=hunter2")
	if list := s.State().Problems; len(list) != 1 || list[0].Object != secret("moved") || !strings.Contains(list[0].Remedy, "--state-key-file") {
		t.Errorf("one in the place of another: %+v", list)
	}
	for what, o := range map[string]managed.Options{
		"no secret":      {DB: db},
		"another secret": {DB: db, Seals: func() (seal.Keys, error) { return seal.New([][]byte{[]byte("other")}, managed.Use), nil }},
		"none readable":  {DB: db, Seals: func() (seal.Keys, error) { return seal.Keys{}, errors.New("no such file") }},
	} {
		s := managed.New(o)
		load(t, s)
		list := s.State().Problems
		if len(s.State().Objects) != 0 || len(list) != 2 || list[0].Code != "UnreadableObject" || strings.Contains(fmt.Sprint(list), "hunter") {
			t.Errorf("%s: %v, %+v", what, names(s), list)
		}
	}
	// The secret is lost later: what was opened goes on.
	lost := false
	s = managed.New(managed.Options{DB: db, Seals: func() (seal.Keys, error) {
		if lost {
			return seal.Keys{}, errors.New("no such file")
		}
		return keys, nil
	}})
	load(t, s)
	lost = true
	put(t, db, sealed("a", "a", "hunter3"))
	load(t, s)
	wants(t, "the last that was opened", names(s), "a@1=hunter2")
}

// Sources of several processes follow one store, whoever changes it and asks at the same
// time: each sees versions in their order, whole, and in the end the last.
func TestManyFollowOneStore(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		const changes = 30
		writer := statetest.Open(t, place)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		var all []*managed.Source
		for range 2 {
			news := make(chan struct{}, 1)
			s := managed.New(managed.Options{DB: statetest.Open(t, place), Changed: func() {
				select {
				case news <- struct{}{}:
				default:
				}
			}})
			all = append(all, s)
			wg.Go(func() { s.Run(ctx) })
			for range 3 { // who applies loads, too
				wg.Go(func() {
					var last int64
					for ctx.Err() == nil {
						if _, err := s.Load(ctx); err != nil && ctx.Err() == nil {
							t.Error(err)
							return
						}
						state := s.State()
						if state.Revision < last {
							t.Errorf("revision %d comes after %d", state.Revision, last)
						}
						// Both objects are changed by each version.
						if last = state.Revision; last > 0 && (len(state.Objects) != 2 || state.Objects[0].Revision != last || state.Objects[1].Revision != last) {
							t.Errorf("revision %d has %v", last, names(s))
						}
						select {
						case <-news:
						case <-ctx.Done():
						case <-time.After(50 * time.Millisecond):
						}
					}
				})
			}
		}
		for i := range changes {
			put(t, writer, row(configMap("a"), textOf("a", fmt.Sprint(i))), row(configMap("b"), textOf("b", fmt.Sprint(i))))
		}
		deadline := time.After(patience)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for slices.ContainsFunc(all, func(s *managed.Source) bool { return s.State().Revision != changes }) {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("a source has not come to the last version")
			}
		}
		for _, s := range all {
			wants(t, "in the end", names(s), fmt.Sprintf("a@%d=%d", changes, changes-1), fmt.Sprintf("b@%d=%d", changes, changes-1))
			if got := s.Changes(); !slices.Contains(got, configMap("a")) || !slices.Contains(got, configMap("b")) {
				t.Errorf("what has changed: %v", got)
			}
		}
	})
}
