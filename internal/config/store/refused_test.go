package store_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/store"
)

func TestRefused(t *testing.T) {
	key := func(name string) store.Key { return store.Key{Kind: "K", Namespace: "n", Name: name} }
	set := store.NewSet([]*store.Object{{Key: key("last-good")}})
	got := store.Refused(set, []store.Problem{
		{Severity: store.Error, Object: key("bad")},
		{Severity: store.Error, Object: key("bad")},
		{Severity: store.Error, Object: key("last-good")},
		{Severity: store.Warning, Object: key("odd")},
		{Severity: store.Error},
	})
	if len(got) != 1 || !got[key("bad")] {
		t.Errorf("%v, want the object that has errors and is not in the set", got)
	}
	if store.Refused(set, nil) != nil {
		t.Error("something is refused without a problem")
	}
}
