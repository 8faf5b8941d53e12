// Package consultest has an agent of Consul for tests and examples: the part of
// its HTTP API that Gridway uses, which behaves as the documentation says, and the
// part by which services are registered. It keeps everything in memory, checks the
// health of nothing, and can be told to misbehave.
package consultest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Instance of a service, in the form in which one is registered with an agent.
type Instance struct {
	ID, Name, Address string
	Port              int
	Tags              []string
	Meta              map[string]string
	TaggedAddresses   map[string]Place
	Weights           *Weights
}

// Place is an address with a port.
type Place struct {
	Address string
	Port    int
}

// Weights of an instance in each health.
type Weights struct{ Passing, Warning int }

// registered is an instance with what its checks say.
type registered struct {
	Instance
	status      string
	maintenance bool
}

// Agent is an http.Handler. Its zero value is of use.
type Agent struct {
	// Node and Address of the agent; by default "node" and "127.0.0.1".
	Node, Address string
	NodeMeta      map[string]string
	// Token that requests must have; empty lets everybody in.
	Token string

	mu        sync.Mutex // guards all below
	instances map[string]*registered
	indexes   map[string]uint64 // by service
	index     uint64
	changed   chan struct{} // closed by the next change
	behave    Behaviour
	asked     map[string]int // by service
	waiting   int
}

// Behaviour of an agent that is not well. The zero value is well.
type Behaviour struct {
	// Status answers every question, with Text.
	Status int
	Text   string
	// RetryAfter goes along, in seconds.
	RetryAfter int
	// Leaderless: its servers know no leader. Filtered: the token may read nothing.
	Leaderless, Filtered bool
	// Deny: who has no token may read nothing by default.
	Deny bool
	// Unindexed leaves out the index; Unblocked answers at once all the same.
	Unindexed, Unblocked bool
	// Raw is the answer, whatever is registered.
	Raw string
}

// Behave changes what the agent does from now on, also with who waits.
func (a *Agent) Behave(b Behaviour) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.behave = b
	a.stir()
}

// Register adds or replaces an instance, which is healthy.
func (a *Agent) Register(list ...Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.instances == nil {
		a.instances, a.indexes = map[string]*registered{}, map[string]uint64{}
	}
	for _, i := range list {
		if i.ID == "" {
			i.ID = i.Name
		}
		a.instances[i.ID] = &registered{Instance: i, status: "passing"}
		a.touch(i.Name)
	}
}

// Deregister takes an instance out.
func (a *Agent) Deregister(id string) { a.edit(id, func(*registered) { delete(a.instances, id) }) }

// SetStatus sets what the checks of an instance say: passing, warning or critical.
func (a *Agent) SetStatus(id, status string) {
	a.edit(id, func(r *registered) { r.status = status })
}

// Maintain switches the maintenance of an instance on or off.
func (a *Agent) Maintain(id string, on bool) {
	a.edit(id, func(r *registered) { r.maintenance = on })
}

func (a *Agent) edit(id string, f func(*registered)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.instances[id]
	if r == nil {
		return false
	}
	f(r)
	a.touch(r.Name)
	return true
}

// Touch counts a change of a service that changes nothing of it.
func (a *Agent) Touch(service string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.touch(service)
}

// Rewind puts indexes back to what a new agent has, as a restored snapshot does.
// Who waits goes on waiting.
func (a *Agent) Rewind() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index = 1
	for name := range a.indexes {
		a.indexes[name] = 1
	}
}

// Asked is how often a service was asked for, and Waiting how many do wait now.
func (a *Agent) Asked(service string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[service]
}

// Waiting counts the queries that block now.
func (a *Agent) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

func (a *Agent) touch(service string) {
	a.index++
	if a.indexes == nil {
		a.indexes = map[string]uint64{}
	}
	a.indexes[service] = a.index
	a.stir()
}

// stir wakes who waits.
func (a *Agent) stir() {
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// ServeHTTP answers /v1/health/service/NAME and the requests that register.
func (a *Agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Token != "" && r.Header.Get("X-Consul-Token") != a.Token {
		http.Error(w, "Permission denied: anonymous token lacks permission", http.StatusForbidden)
		return
	}
	path := r.URL.Path
	switch name, ok := strings.CutPrefix(path, "/v1/health/service/"); {
	case ok && r.Method == http.MethodGet:
		a.health(w, r, name)
	case r.Method == http.MethodPut && strings.HasPrefix(path, "/v1/agent/service/"):
		a.change(w, r, strings.TrimPrefix(path, "/v1/agent/service/"))
	case r.Method == http.MethodPut && strings.HasPrefix(path, "/v1/agent/check/"):
		a.check(w, strings.TrimPrefix(path, "/v1/agent/check/"))
	default:
		http.NotFound(w, r)
	}
}

// change is the API by which services are registered.
func (a *Agent) change(w http.ResponseWriter, r *http.Request, what string) {
	verb, id, _ := strings.Cut(what, "/")
	known := true
	switch verb {
	case "register":
		var i Instance
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&i); err != nil || i.Name == "" {
			http.Error(w, "Request decode failed, or no Name", http.StatusBadRequest)
			return
		}
		a.Register(i)
	case "deregister":
		known = a.edit(id, func(*registered) { delete(a.instances, id) })
	case "maintenance":
		known = a.edit(id, func(i *registered) { i.maintenance = r.URL.Query().Get("enable") == "true" })
	default:
		http.NotFound(w, r)
		return
	}
	if !known {
		http.Error(w, "Unknown service ID "+strconv.Quote(id), http.StatusNotFound)
	}
}

// check is the API by which a program says how it is: VERB/service:ID.
func (a *Agent) check(w http.ResponseWriter, what string) {
	verb, id, _ := strings.Cut(what, "/")
	status, ok := map[string]string{"pass": "passing", "warn": "warning", "fail": "critical"}[verb]
	id, check := strings.CutPrefix(id, "service:")
	if !ok || !check || !a.edit(id, func(i *registered) { i.status = status }) {
		http.Error(w, "Unknown check ID "+strconv.Quote(what), http.StatusNotFound)
	}
}

// health answers at once, or when the index is above that of the question.
func (a *Agent) health(w http.ResponseWriter, r *http.Request, name string) {
	q := r.URL.Query()
	after, _ := strconv.ParseUint(q.Get("index"), 10, 64)
	wait, err := time.ParseDuration(q.Get("wait"))
	if err != nil || wait > 10*time.Minute {
		wait = 5 * time.Minute
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		a.asked = map[string]int{}
	}
	a.asked[name]++
	for over := false; after > 0 && !over && a.calm() && max(a.indexes[name], 1) <= after; {
		if a.changed == nil {
			a.changed = make(chan struct{})
		}
		changed := a.changed
		a.waiting++
		a.mu.Unlock()
		select {
		case <-changed:
		case <-end.C:
			over = true
		case <-r.Context().Done():
			over = true
		}
		a.mu.Lock()
		a.waiting--
	}
	a.answer(w, name, q, after > 0)
}

func (a *Agent) calm() bool { return a.behave == Behaviour{} }

// answer is as agents give it: one that waited for changes has them from a stream,
// and knows no leader.
func (a *Agent) answer(w http.ResponseWriter, name string, q map[string][]string, streamed bool) {
	b := a.behave
	if b.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(b.RetryAfter))
	}
	if b.Status != 0 {
		http.Error(w, b.Text, b.Status)
		return
	}
	if dc := q["dc"]; len(dc) > 0 && dc[0] != "dc1" {
		http.Error(w, "No path to datacenter", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Consul-Query-Backend", "blocking-query")
	if streamed && !b.Leaderless {
		h.Set("X-Consul-Query-Backend", "streaming")
	}
	h.Set("X-Consul-Knownleader", strconv.FormatBool(!b.Leaderless && !streamed))
	h.Set("X-Consul-Lastcontact", "0")
	if !b.Unindexed {
		h.Set("X-Consul-Index", strconv.FormatUint(max(a.indexes[name], 1), 10))
	}
	h.Set("X-Consul-Default-Acl-Policy", map[bool]string{true: "deny", false: "allow"}[b.Deny])
	if b.Filtered {
		h.Set("X-Consul-Results-Filtered-By-Acls", "true")
	}
	if b.Raw != "" {
		_, _ = w.Write([]byte(b.Raw))
		return
	}
	list := []entry{}
	for _, id := range slices.Sorted(maps.Keys(a.instances)) {
		if i := a.instances[id]; i.Name == name && !b.Filtered && i.matches(q) {
			list = append(list, a.entry(i))
		}
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (i *registered) matches(q map[string][]string) bool {
	if _, ok := q["passing"]; ok && (i.status != "passing" || i.maintenance) {
		return false
	}
	for _, tag := range q["tag"] {
		if !slices.Contains(i.Tags, tag) {
			return false
		}
	}
	return true
}

// entry is the form in which an instance is answered.
type entry struct {
	Node struct {
		Node, Address   string
		TaggedAddresses map[string]string
		Meta            map[string]string
	}
	Service struct {
		ID, Service, Address string
		Port                 int
		Tags                 []string
		Meta                 map[string]string
		TaggedAddresses      map[string]Place
		Weights              Weights
	}
	Checks []check
}

type check struct{ Node, CheckID, Name, Status, ServiceID string }

func (a *Agent) entry(i *registered) (e entry) {
	node, address := a.Node, a.Address
	if node == "" {
		node = "node"
	}
	if address == "" {
		address = "127.0.0.1"
	}
	e.Node.Node, e.Node.Address, e.Node.Meta = node, address, a.NodeMeta
	e.Node.TaggedAddresses = map[string]string{"lan": address, "wan": address}
	s := &e.Service
	s.ID, s.Service, s.Address, s.Port = i.ID, i.Name, i.Instance.Address, i.Port
	s.Tags, s.Meta, s.TaggedAddresses, s.Weights = i.Tags, i.Meta, i.TaggedAddresses, Weights{1, 1}
	if i.Weights != nil {
		s.Weights = *i.Weights
	}
	e.Checks = []check{
		{Node: node, CheckID: "serfHealth", Name: "Serf Health Status", Status: "passing"},
		{Node: node, CheckID: "service:" + i.ID, Name: "Service check", Status: i.status, ServiceID: i.ID},
	}
	if i.maintenance {
		e.Checks = append(e.Checks, check{Node: node, CheckID: "_service_maintenance:" + i.ID, Name: "Service Maintenance Mode", Status: "critical", ServiceID: i.ID})
	}
	return e
}
