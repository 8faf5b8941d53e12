package metric

import "time"

// KeySet is the present state of keys that tokens are verified with.
type KeySet struct {
	Keys              int
	Fetches, Failures uint64
	// Fetched is when the last good fetch was, zero if there was none.
	Fetched time.Time
}

// SetKeySets names the function that reads the key sets at each scrape.
func (r *Registry) SetKeySets(read func(yield func(policy, issuer string, k KeySet))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keySets = read
}

var (
	keySetKeysFamily = define("gridway_key_set_keys", gauge,
		"Keys of an issuer that tokens are verified with now; 0 while they were never fetched.", "policy", "issuer")
	keySetFetchesFamily = define("gridway_key_set_fetches_total", counter,
		"Fetches of an issuer's keys by result: ok or failed, after which those of before stay.", "policy", "issuer", "result")
	keySetFetchedFamily = define("gridway_key_set_fetched_timestamp_seconds", gauge,
		"When an issuer's keys were last fetched, in Unix seconds.", "policy", "issuer")
)

func (e *emitter) keySet(policy, issuer string, k KeySet) {
	if !e.room("issuer") {
		return
	}
	e.gauge(&keySetKeysFamily, float64(k.Keys), policy, issuer)
	if k.Fetches+k.Failures > 0 {
		e.count(&keySetFetchesFamily, k.Fetches, policy, issuer, "ok")
		e.count(&keySetFetchesFamily, k.Failures, policy, issuer, "failed")
	}
	if !k.Fetched.IsZero() {
		e.gauge(&keySetFetchedFamily, float64(k.Fetched.Unix()), policy, issuer)
	}
}
