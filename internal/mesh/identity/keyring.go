package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tolerance is by how much our clock may be wrong: so long after its end an SVID is shown
// to others, whose clocks judge.
const tolerance = 10 * time.Minute

// Keyring has the SVIDs of a process, the trust bundles and the deny list. It is changed
// as a whole, and may be asked and changed at the same time.
type Keyring struct {
	now func() time.Time
	at  atomic.Pointer[keys]

	mu       sync.Mutex // held while at is replaced
	watchers map[*watcher]struct{}
	cutters  map[*cutter]struct{}
}

// keys is what a keyring has at one moment; it never changes.
type keys struct {
	own     string
	svids   map[string]*SVID
	bundles map[TrustDomain]*Bundle
	denied  *denyList
}

type watcher struct{ c chan struct{} }

type cutter struct {
	f func(denied func(id, serial string) bool)
}

// Options of a Keyring.
type Options struct {
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// NewKeyring makes an empty one.
func NewKeyring(o Options) *Keyring {
	k := &Keyring{now: o.Now, watchers: map[*watcher]struct{}{}, cutters: map[*cutter]struct{}{}}
	if k.now == nil {
		k.now = time.Now
	}
	k.at.Store(&keys{svids: map[string]*SVID{}, bundles: map[TrustDomain]*Bundle{}, denied: newDenyList(nil)})
	return k
}

// Change is what is to be different, all at one moment.
type Change struct {
	// Own is the process's own identity; the zero ID leaves it.
	Own ID
	// Put are new SVIDs. Of each identity the one that was made last stays.
	Put []*SVID
	// Drop are identities whose SVIDs go.
	Drop []ID
	// Bundles, if it is not nil, are all trust bundles from now on.
	Bundles []*Bundle
	// Denied, if it is not nil, is the deny list from now on.
	Denied []Denial
}

// Apply makes a change. Connections of those who are denied by it, or whose trust domain
// is trusted no more, have been cut when it returns.
func (k *Keyring) Apply(c Change) {
	k.mu.Lock()
	was := k.at.Load()
	is := was.after(&c)
	k.at.Store(is)
	for w := range k.watchers {
		select {
		case w.c <- struct{}{}:
		default: // it will look anyway
		}
	}
	var cut []*cutter
	if c.Denied != nil && !slices.Equal(was.denied.all, is.denied.all) || lost(was, is) {
		cut = slices.Collect(maps.Keys(k.cutters))
	}
	k.mu.Unlock()
	for _, one := range cut {
		one.f(k.Denied)
	}
}

func (at *keys) after(c *Change) *keys {
	is := &keys{own: at.own, svids: at.svids, bundles: at.bundles, denied: at.denied}
	if !c.Own.IsZero() {
		is.own = c.Own.String()
	}
	if len(c.Put)+len(c.Drop) > 0 {
		is.svids = maps.Clone(at.svids)
	}
	for _, id := range c.Drop {
		delete(is.svids, id.String())
	}
	for _, s := range c.Put {
		id := s.id.String()
		if old := is.svids[id]; old != nil && old.Leaf().NotBefore.After(s.Leaf().NotBefore) {
			continue
		}
		is.svids[id] = s
	}
	if c.Bundles != nil {
		is.bundles = make(map[TrustDomain]*Bundle, len(c.Bundles))
		for _, b := range c.Bundles {
			is.bundles[b.TrustDomain()] = b
		}
	}
	if c.Denied != nil {
		is.denied = newDenyList(c.Denied)
	}
	return is
}

// lost tells whether a trust domain or a root is trusted no more.
func lost(was, is *keys) bool {
	for td := range was.bundles {
		if is.bundles[td] == nil {
			return true
		}
	}
	return false
}

// Own is the process's own identity; zero if it has none yet.
func (k *Keyring) Own() ID {
	id, _ := Parse(k.at.Load().own)
	return id
}

// Certificate is the newest SVID of a SPIFFE ID; "" is the process's own.
func (k *Keyring) Certificate(id string) (*tls.Certificate, error) {
	at := k.at.Load()
	if id == "" {
		id = at.own
	}
	s := at.svids[id]
	switch {
	case id == "":
		return nil, fmt.Errorf("this process has no identity yet: it has not joined a mesh")
	case s == nil:
		return nil, fmt.Errorf("this process has no SVID of %s", id)
	}
	if now := k.now(); now.After(s.NotAfter().Add(tolerance)) {
		return nil, fmt.Errorf("the SVID of %s ended at %s, and no new one could be had", id, s.NotAfter().UTC().Format(time.RFC3339))
	}
	return &s.pair, nil
}

// VerifyPeer verifies a chain against the trust bundles and the deny list at this moment
// and returns the leaf's SPIFFE ID.
func (k *Keyring) VerifyPeer(chain []*x509.Certificate) (string, error) {
	at, now := k.at.Load(), k.now()
	id, err := Verify(chain, func(td TrustDomain) *Bundle { return at.bundles[td] }, now)
	if err != nil {
		return "", err
	}
	text, serial := id.String(), Serial(chain[0].SerialNumber)
	if at.denied.denied(text, serial, now) {
		return "", &DeniedError{ID: text, Serial: serial}
	}
	return text, nil
}

// DeniedError: a peer is on the deny list.
type DeniedError struct{ ID, Serial string }

func (e *DeniedError) Error() string {
	if e.Serial == "" { // it has none yet
		return e.ID + " is on the deny list"
	}
	return fmt.Sprintf("%s, with the certificate %s, is on the deny list", e.ID, e.Serial)
}

// Denied tells whether an identity with a certificate is on the deny list now, or of a
// trust domain that is not trusted.
func (k *Keyring) Denied(id, serial string) bool {
	at := k.at.Load()
	if at.denied.denied(id, serial, k.now()) {
		return true
	}
	parsed, err := Parse(id)
	return err != nil || at.bundles[parsed.TrustDomain()] == nil
}

// WatchDenied has f called whenever somebody may have been denied, with what tells who.
// f must not change the keyring. stop ends it; a call that is under way goes on.
func (k *Keyring) WatchDenied(f func(denied func(id, serial string) bool)) (stop func()) {
	c := &cutter{f}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cutters[c] = struct{}{}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.cutters, c)
	}
}

// Watch tells of changes from now on: the channel gets a value after one or several.
func (k *Keyring) Watch() (changed <-chan struct{}, stop func()) {
	w := &watcher{make(chan struct{}, 1)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchers[w] = struct{}{}
	return w.c, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.watchers, w)
	}
}

// SVID is the newest one of an identity, or nil.
func (k *Keyring) SVID(id ID) *SVID { return k.at.Load().svids[id.String()] }

// SVIDs are all, in the order of their identities.
func (k *Keyring) SVIDs() []*SVID {
	return slices.SortedFunc(maps.Values(k.at.Load().svids), func(a, b *SVID) int { return strings.Compare(a.id.String(), b.id.String()) })
}

// Bundle is that of a trust domain, or nil.
func (k *Keyring) Bundle(td TrustDomain) *Bundle { return k.at.Load().bundles[td] }

// Bundles are all, in the order of their trust domains.
func (k *Keyring) Bundles() []*Bundle {
	return slices.SortedFunc(maps.Values(k.at.Load().bundles), func(a, b *Bundle) int {
		return a.TrustDomain().Compare(b.TrustDomain())
	})
}

// Denials are the deny list.
func (k *Keyring) Denials() []Denial { return slices.Clone(k.at.Load().denied.all) }
