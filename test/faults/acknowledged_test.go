package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// writer changes by the admin APIs of all replicas whatever they let one change, on and
// on, and remembers what was acknowledged: who is denied, consumers with their groups and
// keys, tokens of the admin API and tokens by which machines join.
type writer struct {
	m    *mesh
	stop chan struct{}
	work sync.WaitGroup

	mu sync.Mutex
	// facts are what must be there, or must not be, by a kind and a name. What was asked
	// for and not acknowledged is either, and no fact. Guarded by mu.
	facts map[string]bool
	// noted counts acknowledged changes by what the audit log calls their objects; guarded by mu.
	noted map[string]int
	// acknowledged and refused count tries; guarded by mu.
	acknowledged, refused int
}

func newWriter(m *mesh) *writer {
	w := &writer{m: m, stop: make(chan struct{}), facts: map[string]bool{}, noted: map[string]int{}}
	for i, r := range m.replicas {
		w.work.Go(func() { w.write(i, r) })
	}
	m.t.Cleanup(w.end)
	return w
}

func (w *writer) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.work.Wait()
}

func (w *writer) write(replica int, r *replica) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		name := fmt.Sprintf("r%d-%d", replica, n)
		w.deny(r, "spiffe://cluster.local/ns/gone/sa/"+name, n)
		w.consumer(r, name, n)
		if n%4 == 0 {
			w.tokens(r, name, n)
		}
	}
}

// asks has a replica change an object, and decodes the reply. It returns whether that was
// acknowledged, and else forgets what was known of these facts.
func (w *writer) asks(r *replica, object, method, path, body string, want int, into any, facts ...string) bool {
	status, reply, err := r.api(method, path, body)
	if err == nil && status == want && into != nil {
		err = json.Unmarshal(reply, into)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || status != want {
		w.refused++
		for _, f := range facts {
			delete(w.facts, f)
		}
		return false
	}
	w.acknowledged++
	if object != "" {
		w.noted[object]++
	}
	return true
}

func (w *writer) know(is bool, facts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range facts {
		w.facts[f] = is
	}
}

func (w *writer) deny(r *replica, id string, n int) {
	object, fact := "Identity/"+id, "denial "+id
	if !w.asks(r, object, "POST", "/v1/mesh/denials", fmt.Sprintf(`{"id":%q,"reason":"a test"}`, id), http.StatusCreated, nil) {
		return
	}
	w.know(true, fact)
	if n%3 == 0 && w.asks(r, object, "DELETE", "/v1/mesh/denials?id="+id, "", http.StatusNoContent, nil, fact) {
		w.know(false, fact)
	}
}

func (w *writer) consumer(r *replica, name string, n int) {
	object, path := "Consumer/default/"+name, "/v1/consumers/default/"+name
	there, staff, key := "consumer "+name, "group staff of "+name, "credential of "+name
	manifest := fmt.Sprintf(`{"apiVersion":"gridway.dev/v1alpha1","kind":"Consumer","metadata":{"name":%q,"namespace":"default"},"spec":{}}`, name)
	if !w.asks(r, object, "POST", "/v1/consumers", manifest, http.StatusCreated, nil) {
		return
	}
	w.know(true, there)
	var made struct{ Name, Hash string }
	if w.asks(r, object, "POST", path+"/keys", `{"name":"key"}`, http.StatusCreated, &made) {
		w.know(true, key, "hash "+made.Hash)
	}
	if w.asks(r, object, "PATCH", path, `{"spec":{"groups":["staff"]}}`, http.StatusOK, nil) {
		w.know(true, staff)
	}
	switch {
	case n%4 == 1 && made.Hash != "":
		if w.asks(r, object, "DELETE", path+"/keys/key", "", http.StatusNoContent, nil, key, "hash "+made.Hash) {
			w.know(false, key, "hash "+made.Hash)
		}
	case n%4 == 2 && made.Hash != "":
		old := "hash " + made.Hash
		if w.asks(r, object, "POST", path+"/keys/key/rotate", `{"overlapSeconds":0}`, http.StatusCreated, &made, key, old) {
			w.know(true, "hash "+made.Hash)
		}
	case n%4 == 3:
		all := []string{there, staff, key, "hash " + made.Hash}
		if w.asks(r, object, "DELETE", path, "", http.StatusNoContent, nil, all...) {
			w.know(false, all...)
		}
	}
}

func (w *writer) tokens(r *replica, name string, n int) {
	for _, kind := range []struct{ fact, object, path, body string }{
		{"token ", "Token/", "/v1/tokens", fmt.Sprintf(`{"name":%q,"role":"viewer"}`, name)},
		{"join token ", "JoinToken/", "/v1/mesh/tokens", `{"services":["nobody"]}`},
	} {
		var made struct{ ID string }
		if !w.asks(r, "", "POST", kind.path, kind.body, http.StatusCreated, &made) {
			continue
		}
		w.mu.Lock()
		w.noted[kind.object+made.ID]++
		w.mu.Unlock()
		w.know(true, kind.fact+made.ID)
		if n%8 == 0 && w.asks(r, kind.object+made.ID, "DELETE", kind.path+"/"+made.ID, "", http.StatusNoContent, nil, kind.fact+made.ID) {
			w.know(false, kind.fact+made.ID)
		}
	}
}

var hashes = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// state is what a replica knows. Consumers are those by which it judges requests.
func (r *replica) state() (map[string]bool, error) {
	has := map[string]bool{}
	var denials []struct{ ID string }
	if err := r.read("/v1/mesh/denials", &denials); err != nil {
		return nil, err
	}
	for _, d := range denials {
		has["denial "+d.ID] = true
	}
	var consumers []struct {
		Name        string
		Groups      []string
		Credentials []struct{ Name string }
	}
	if err := r.read("/v1/consumers", &consumers); err != nil {
		return nil, err
	}
	for _, c := range consumers {
		has["consumer "+c.Name] = true
		has["group staff of "+c.Name] = slices.Contains(c.Groups, "staff")
		has["credential of "+c.Name] = len(c.Credentials) > 0
	}
	_, export, err := r.api("GET", "/v1/consumers/export", "")
	if err != nil {
		return nil, err
	}
	for _, h := range hashes.FindAll(export, -1) {
		has["hash "+string(h)] = true
	}
	for kind, path := range map[string]string{"token ": "/v1/tokens", "join token ": "/v1/mesh/tokens"} {
		var list []struct{ ID string }
		if err := r.read(path, &list); err != nil {
			return nil, err
		}
		for _, one := range list {
			has[kind+one.ID] = true
		}
	}
	return has, nil
}

// known are the facts as of now.
func (w *writer) known() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.facts)
}

// missing is what a replica does not know of facts, as far as they hold still.
func (w *writer) missing(r *replica, facts map[string]bool) error {
	has, err := r.state()
	if err != nil {
		return err
	}
	for fact, is := range facts {
		if has[fact] == is {
			continue
		}
		w.mu.Lock()
		now, still := w.facts[fact]
		w.mu.Unlock()
		if still && now == is { // it was not changed meanwhile
			return fmt.Errorf("%s: %t was acknowledged, and it is not so", fact, is)
		}
	}
	return nil
}

// check: every replica has all that any of them acknowledged, and the audit log has each change.
func (w *writer) check() {
	t := w.m.t
	t.Helper()
	w.end()
	t.Logf("%d changes were acknowledged, %d were not; %d facts", w.acknowledged, w.refused, len(w.facts))
	if w.acknowledged == 0 {
		t.Error("nothing was acknowledged")
	}
	for _, r := range w.m.replicas {
		eventually(t, r.host.Name+" has all that was acknowledged", func() error { return w.missing(r, w.facts) })
		audit, err := r.audit()
		if err != nil {
			t.Error(err)
		}
		for object, n := range w.noted {
			if audit[object] < n {
				t.Errorf("%s: the audit log has %d changes of %s, %d were acknowledged", r.host.Name, audit[object], object, n)
			}
		}
	}
}

// audit counts the changes of each object in the audit log.
func (r *replica) audit() (map[string]int, error) {
	all := map[string]int{}
	for path := "/v1/audit?limit=1000"; ; {
		var page []struct {
			ID     int64
			Object string
		}
		if err := r.read(path, &page); err != nil || len(page) == 0 {
			return all, err
		}
		for _, c := range page {
			all[c.Object]++
		}
		path = fmt.Sprintf("/v1/audit?limit=1000&before=%d", page[len(page)-1].ID)
	}
}
