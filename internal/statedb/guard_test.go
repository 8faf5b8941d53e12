package statedb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// The database refuses what would change the audit log, whoever asks; what is older
// than it is kept goes all the same.
func TestTheAuditLogIsAppendOnly(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		const keep = 24 * time.Hour
		at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		add := func(at time.Time, object string) {
			t.Helper()
			err := db.Write(t.Context(), func(tx *statedb.Tx) error {
				return tx.AddAudit(t.Context(), &statedb.AuditRecord{At: at, Actor: "ada", Action: "put", Object: object}, keep)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		objects := func() (list []string) {
			t.Helper()
			err := db.Read(t.Context(), func(tx *statedb.Tx) error {
				all, err := tx.AuditRecords(t.Context(), statedb.AuditFilter{Limit: 10})
				for _, r := range all {
					list = append(list, r.Object)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		add(at.Add(-30*time.Hour), "old")
		add(at.Add(-20*time.Hour), "young")
		statements := []string{
			"UPDATE audit SET actor = 'eve'",
			"UPDATE audit SET id = id + 100 WHERE object = 'young'",
			"DELETE FROM audit",
			"DELETE FROM audit WHERE object = 'young'",
		}
		if strings.HasPrefix(place, "sqlite") {
			statements = append(statements, "INSERT OR REPLACE INTO audit (id, at, actor, role, peer, action, object, was, became) SELECT id, at, 'eve', role, peer, action, object, was, became FROM audit")
		} else {
			statements = append(statements, "TRUNCATE audit")
		}
		for _, s := range statements {
			err := db.Write(t.Context(), func(tx *statedb.Tx) error {
				_, err := tx.Exec(t.Context(), s)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", s, err)
			}
		}
		if got := strings.Join(objects(), " "); got != "young old" {
			t.Errorf("there are %s", got)
		}
		add(at, "new")
		if got := strings.Join(objects(), " "); got != "new young" {
			t.Errorf("after a day there are %s", got)
		}
	})
}

// Uses of credentials go when nobody has had any for long, so that keys that come and
// go leave nothing behind.
func TestUsesAreForgotten(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		note := func(now time.Time, digests ...string) {
			t.Helper()
			var list []statedb.Use
			for _, d := range digests {
				list = append(list, statedb.Use{Namespace: "default", Digest: d, At: now})
			}
			if err := db.Write(t.Context(), func(tx *statedb.Tx) error { return tx.NoteUses(t.Context(), list, now) }); err != nil {
				t.Fatal(err)
			}
		}
		note(at, "gone", "used")
		note(at.AddDate(1, 0, 0), "used")
		note(at.AddDate(1, 2, 0), "new")
		found := map[string]bool{}
		err := db.Read(t.Context(), func(tx *statedb.Tx) error {
			return tx.UsesNoted(t.Context(), time.Time{}, func(u statedb.Use) error {
				found[u.Digest] = true
				return nil
			})
		})
		if err != nil || len(found) != 2 || !found["used"] || !found["new"] {
			t.Error(found, err)
		}
	})
}
