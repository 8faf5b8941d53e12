package status_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

func cond(kind string, s status.Truth, reason, message string) status.Condition {
	return status.Condition{Type: kind, Status: s, Reason: reason, Message: message}
}

func gateway() status.Object {
	pending := cond("Programmed", status.Unknown, "Pending", "")
	return status.Object{
		Key:        store.Key{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "default", Name: "edge"},
		Conditions: []status.Condition{cond("Accepted", status.True, "Accepted", ""), pending},
		Listeners: []status.Listener{
			{Name: "http", Conditions: []status.Condition{cond("Accepted", status.True, "Accepted", ""), pending}},
			{Name: "alt", Conditions: []status.Condition{cond("Accepted", status.True, "Accepted", ""), pending}},
			{Name: "bad", Conditions: []status.Condition{cond("Accepted", status.False, "Invalid", ""), cond("Programmed", status.False, "Invalid", "")}},
		},
	}
}

func TestProgram(t *testing.T) {
	const served = "1 of 1 proxies serve revision 7"
	busy := "listen :8081: address already in use"
	for _, tt := range []struct {
		name     string
		progress status.Progress
		gateway  status.Condition
		listener map[string]status.Condition
	}{
		{
			"served",
			status.Progress{Revision: 7, Serving: 1, Total: 1},
			cond("Programmed", status.True, "Programmed", served),
			map[string]status.Condition{"http": cond("Programmed", status.True, "Programmed", served)},
		},
		{
			"nobody serves it yet",
			status.Progress{Revision: 7, Total: 1},
			cond("Programmed", status.Unknown, "Pending", "0 of 1 proxies serve revision 7"),
			map[string]status.Condition{"http": cond("Programmed", status.Unknown, "Pending", "0 of 1 proxies serve revision 7")},
		},
		{
			"one port is taken",
			status.Progress{Revision: 7, Serving: 1, Total: 1, Failed: map[string]string{"Gateway/default/edge/alt": busy}},
			cond("Programmed", status.True, "Programmed", served+"; listener alt: "+busy),
			map[string]status.Condition{
				"http": cond("Programmed", status.True, "Programmed", served),
				"alt":  cond("Programmed", status.False, "PortUnavailable", busy),
			},
		},
		{
			"every port is taken",
			status.Progress{Revision: 7, Serving: 1, Total: 1, Failed: map[string]string{
				"Gateway/default/edge/http": busy, "Gateway/default/edge/alt": busy,
			}},
			cond("Programmed", status.False, "AddressNotUsable", "listener alt: "+busy),
			map[string]status.Condition{"http": cond("Programmed", status.False, "PortUnavailable", busy)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := []status.Object{gateway()}
			after := status.Program(before, tt.progress)
			if diff := cmp.Diff([]status.Object{gateway()}, before); diff != "" {
				t.Errorf("the input was changed: %s", diff)
			}
			got, _ := status.Find(after[0].Conditions, "Programmed")
			if diff := cmp.Diff(tt.gateway, got); diff != "" {
				t.Errorf("Gateway (-want +got):\n%s", diff)
			}
			for _, l := range after[0].Listeners {
				want, ok := tt.listener[l.Name]
				if l.Name == "bad" {
					want, ok = cond("Programmed", status.False, "Invalid", ""), true
				}
				if got, _ := status.Find(l.Conditions, "Programmed"); ok && got != want {
					t.Errorf("listener %s: %+v, want %+v", l.Name, got, want)
				}
			}
			// A later revision replaces what an earlier one said, failures too.
			later := status.Program(after, status.Progress{Revision: 8, Serving: 2, Total: 2})
			if got, _ := status.Find(later[0].Conditions, "Programmed"); got.Message != "2 of 2 proxies serve revision 8" || got.Status != status.True {
				t.Errorf("later: %+v", got)
			}
			// An object that has not changed since is served by whoever serves that revision.
			later = status.Program(after, status.Progress{Revision: 8, Serving: 2, Total: 2, Changed: func(store.Key) uint64 { return 5 }})
			if got, _ := status.Find(later[0].Conditions, "Programmed"); got.Message != "2 of 2 proxies serve revision 5" {
				t.Errorf("of an older object: %+v", got)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	yes := []status.Condition{cond("Accepted", status.True, "Accepted", "")}
	no := []status.Condition{cond("Accepted", status.False, "Invalid", "")}
	for _, tt := range []struct {
		name   string
		object status.Object
		want   bool
	}{
		{"not judged", status.Object{}, true},
		{"own condition", status.Object{Conditions: no}, false},
		{"one parent of two", status.Object{Parents: []status.Relation{{Conditions: no}, {Conditions: yes}}}, true},
		{"no parent", status.Object{Parents: []status.Relation{{Conditions: no}}}, false},
		{"an ancestor", status.Object{Ancestors: []status.Relation{{Conditions: yes}}}, true},
	} {
		if got := tt.object.Accepted(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSet(t *testing.T) {
	list := status.Set(nil, cond("A", status.True, "x", ""))
	list = status.Set(list, cond("B", status.True, "x", ""))
	list = status.Set(list, cond("A", status.False, "y", ""))
	if len(list) != 2 || status.Holds(list, "A") || !status.Holds(list, "B") {
		t.Errorf("%+v", list)
	}
}

func TestReference(t *testing.T) {
	r := status.Reference{Kind: "Gateway", Namespace: "default", Name: "edge", SectionName: "http"}
	if got := r.String(); got != "Gateway/default/edge/http" {
		t.Error(got)
	}
}
