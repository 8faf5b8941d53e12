// Package signingkeys is the source of the keys that TokenIssuers keep in the state
// store. It makes them, has each published before it signs and for as long after as
// its tokens live, and delivers them as a Secret whose first entry signs. Processes
// that share a store have the same keys: of several that make the next one at once,
// the first has made it.
//
// Keys are sealed by a secret of the configuration before they are stored. Run is the
// package's only goroutine's work, and its caller's.
package signingkeys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// Name is what objects of this source say where they came from.
const Name = "signingkeys"

const (
	// every is how often it is looked at the store.
	every = time.Minute
	// patience bounds a look.
	patience = 10 * time.Second
	// rsaBits is the size of RSA keys (NIST SP 800-57: 128 bits of security).
	rsaBits = 3072
)

// Options of a Source.
type Options struct {
	DB *statedb.DB
	// Changed is told that Objects has something new; it must not block.
	Changed func()
	Log     *slog.Logger
	// Now is the clock; nil means the store's.
	Now func() time.Time
}

// Source has the keys of TokenIssuers. Its methods may be called at the same time.
type Source struct {
	opt Options

	// work is held while the store is asked, which may take long. It guards what
	// follows.
	work sync.Mutex
	// ahead is the store's clock before ours, as it was heard of last.
	ahead time.Duration
	rings map[store.Key]*ring // by Secret

	mu      sync.Mutex              // never held for long
	orders  []issuance.SigningOrder // guarded by mu
	objects []*store.Object         // guarded by mu; the slice is never changed
}

// ring is the keys of one TokenIssuer.
type ring struct {
	order   issuance.SigningOrder
	seals   seal.Keys
	keys    []key
	object  *store.Object
	failing string // what was told of last
}

// key is one that could be opened.
type key struct {
	statedb.SigningKey
	pem []byte
}

// New makes a Source, which has nothing before Set.
func New(o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return &Source{opt: o, rings: map[store.Key]*ring{}}
}

// Set makes these the orders. What new ones want is there when it returns, unless the
// store cannot be had.
func (s *Source) Set(ctx context.Context, orders []issuance.SigningOrder) {
	s.mu.Lock()
	same := slices.EqualFunc(s.orders, orders, func(a, b issuance.SigningOrder) bool { return a.Equal(&b) })
	s.orders = orders
	s.mu.Unlock()
	if same {
		return
	}
	s.work.Lock()
	defer s.work.Unlock()
	rings := make(map[store.Key]*ring, len(orders))
	for i := range orders {
		o := &orders[i]
		old := s.rings[o.Secret]
		if old != nil && old.order.Equal(o) {
			rings[o.Secret] = old
			continue
		}
		r := &ring{order: *o, seals: seal.New(o.Seals, "gridway signing keys v1")}
		if old != nil && old.order.Algorithm == o.Algorithm {
			r.keys, r.object = old.keys, old.object // until the store says otherwise
		}
		rings[o.Secret] = r
		s.look(ctx, r)
	}
	s.rings = rings
	s.publish()
}

// publish lets others see what the rings have. The caller holds s.work.
func (s *Source) publish() {
	var out []*store.Object
	for _, r := range s.rings {
		if r.object != nil {
			out = append(out, r.object)
		}
	}
	slices.SortFunc(out, func(a, b *store.Object) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	s.mu.Lock()
	s.objects = out
	s.mu.Unlock()
}

// Objects are the keys that there are, as Secrets.
func (s *Source) Objects() []*store.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects
}

// Run makes and changes keys as their times come, until ctx ends.
func (s *Source) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Look(ctx)
		}
	}
}

// Look does at once what Run does from time to time.
func (s *Source) Look(ctx context.Context) {
	s.work.Lock()
	defer s.work.Unlock()
	changed := false
	for _, r := range s.rings {
		changed = s.look(ctx, r) || changed
	}
	if changed {
		s.publish()
		s.opt.Changed()
	}
}

// look brings a ring up to date with the store, as far as that can be had, and with the
// clock. The caller holds s.work.
func (s *Source) look(ctx context.Context, r *ring) (changed bool) {
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, now, err := s.stored(asked, r)
	if err == nil {
		r.keys, err = r.open(rows)
		if len(r.keys) == 0 && err != nil { // the secret that they were sealed by is gone
			err = errors.Join(err, s.anew(asked, r, rows, now))
		}
	}
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil && r.failing != "":
		s.opt.Log.Info("signing keys are in order again", "issuer", r.order.Issuer.String())
		r.failing = ""
	case err != nil && err.Error() != r.failing:
		s.opt.Log.Warn("signing keys in the state store: those that are known go on", "issuer", r.order.Issuer.String(), "known", len(r.keys), "error", err)
		r.failing = err.Error()
	}
	return r.deliver(s.now(), s.opt.Log)
}

func (s *Source) now() time.Time {
	if s.opt.Now != nil {
		return s.opt.Now()
	}
	return time.Now().Add(s.ahead)
}

// stored reads the keys, after it has made the next and removed old ones if it is time
// for that.
func (s *Source) stored(ctx context.Context, r *ring) (rows []statedb.SigningKey, now time.Time, err error) {
	o := &r.order
	read := func(tx *statedb.Tx) (err error) {
		var clock time.Time
		if rows, clock, err = tx.SigningKeys(ctx, o.Name(), o.Algorithm); err == nil {
			s.ahead = time.Until(clock)
			now = s.now()
		}
		return err
	}
	if err := s.opt.DB.Read(ctx, read); err != nil {
		return nil, now, err
	}
	from, due := next(rows, now, o.RotateEvery)
	longer := slices.ContainsFunc(rows, func(k statedb.SigningKey) bool { return k.Lifetime < o.Lifetime })
	if !due && !longer && over(rows, now) == 0 {
		return rows, now, nil
	}
	var made *statedb.SigningKey
	if due { // which takes seconds for RSA, so not in a transaction
		serial := int64(1)
		if len(rows) > 0 {
			serial = rows[len(rows)-1].Serial + 1
		}
		if made, err = r.make(serial, from); err != nil {
			return nil, now, err
		}
	}
	err = s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		if made != nil {
			if err := tx.AddSigningKey(ctx, *made); err != nil {
				return err
			}
		}
		if err := tx.ExtendSigningKeys(ctx, o.Name(), o.Algorithm, o.Lifetime); err != nil {
			return err
		}
		if n := over(rows, now); n > 0 {
			if err := tx.ForgetSigningKeys(ctx, o.Name(), o.Algorithm, rows[n-1].Serial); err != nil {
				return err
			}
		}
		return read(tx)
	})
	return rows, now, err
}

// anew makes a key that signs at once, where none that is stored can be opened.
func (s *Source) anew(ctx context.Context, r *ring, rows []statedb.SigningKey, now time.Time) error {
	made, err := r.make(rows[len(rows)-1].Serial+1, now)
	if err != nil {
		return err
	}
	if err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.AddSigningKey(ctx, *made) }); err != nil {
		return err
	}
	s.opt.Log.Warn("a new signing key takes the place of those that cannot be opened: tokens that they signed are refused", "issuer", r.order.Issuer.String())
	if rows, _, err = s.stored(ctx, r); err == nil {
		r.keys, _ = r.open(rows) // the others are told of already
	}
	return err
}

// purpose is what a key is sealed for: none can be put in the place of another.
func purpose(k *statedb.SigningKey) string {
	return fmt.Sprintf("%s %s %d", k.Issuer, k.Algorithm, k.Serial)
}

func (r *ring) make(serial int64, from time.Time) (*statedb.SigningKey, error) {
	private, err := generate(r.order.Algorithm)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	k := &statedb.SigningKey{Issuer: r.order.Name(), Algorithm: r.order.Algorithm, Serial: serial, SignsFrom: from, Lifetime: r.order.Lifetime}
	k.Sealed = string(r.seals.Seal(nil, purpose(k), der))
	return k, nil
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "RS256", "PS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// open returns the keys that can be opened. The error is of the others.
func (r *ring) open(rows []statedb.SigningKey) (out []key, err error) {
	failed := 0
	for i := range rows {
		der, ok := r.seals.Open(purpose(&rows[i]), []byte(rows[i].Sealed))
		if !ok {
			failed++
			continue
		}
		out = append(out, key{rows[i], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
	}
	if failed > 0 {
		err = fmt.Errorf("%d of %d stored keys cannot be opened: they were sealed by a secret that keyRefs does not name any more", failed, len(rows))
	}
	return out, err
}

// deliver makes the object of the keys as they are now.
func (r *ring) deliver(now time.Time, log *slog.Logger) (changed bool) {
	if len(r.keys) == 0 {
		return false
	}
	rows := make([]statedb.SigningKey, len(r.keys))
	for i := range r.keys {
		rows[i] = r.keys[i].SigningKey
	}
	first := signing(rows, now)
	data := map[string][]byte{issuance.SigningEntry(0): r.keys[first].pem}
	h := xxhash.New()
	_, _ = h.Write(r.keys[first].pem) // which never fails
	for i := range r.keys {
		if i != first {
			data[issuance.SigningEntry(len(data))] = r.keys[i].pem
			_, _ = h.Write(r.keys[i].pem)
		}
	}
	if r.object != nil && r.object.Hash == h.Sum64() {
		return false
	}
	r.object = &store.Object{
		Key: r.order.Secret, Version: "v1", Source: Name, Hash: h.Sum64(), Locator: place{},
		Value: &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Name: r.order.Secret.Name, Namespace: r.order.Secret.Namespace, Annotations: map[string]string{"gridway.dev/token-issuer": r.order.Issuer.Name}},
			Type:       corev1.SecretTypeOpaque, Data: data,
		},
	}
	log.Info("signing keys", "issuer", r.order.Issuer.String(), "algorithm", r.order.Algorithm, "serial", r.keys[first].Serial,
		"signs-from", r.keys[first].SignsFrom.UTC().Format(time.RFC3339), "published", len(r.keys))
	return true
}

// place is that of all these objects.
type place struct{}

func (place) Locate(string) store.Position { return store.Position{File: "state store"} }
