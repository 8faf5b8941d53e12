package federation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
)

const (
	// defaultInterval is for bundles that do not say when to ask again (§4.1); the others
	// are asked within the bounds.
	defaultInterval          = 5 * time.Minute
	minInterval, maxInterval = time.Minute, 24 * time.Hour
)

// Options of a Federation.
type Options struct {
	// Own is our trust domain.
	Own       identity.TrustDomain
	Relations []Relation
	// Folder keeps the last good bundles, so that they hold when the process starts anew.
	Folder string
	// Trusted are bundles of other trust domains than those of Relations, by which
	// endpoints of https_spiffe may be verified; nil is none.
	Trusted func(identity.TrustDomain) *identity.Bundle
	// Roots are those of https_web; nil is the system's.
	Roots *x509.CertPool
	// Changed is told that Bundles has something new; it must not block.
	Changed func()
	Log     *slog.Logger // nil is nobody
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Federation has the bundles of other trust domains.
type Federation struct {
	opt   Options
	peers []*trusted
}

// trusted is one other trust domain.
type trusted struct {
	Relation
	mu      sync.Mutex
	bundle  *identity.Bundle // guarded by mu; nil until there is one
	fetched time.Time        // guarded by mu
	failing string           // guarded by mu
}

// State is how a relation stands.
type State struct {
	TrustDomain string `json:"trustDomain"`
	URL         string `json:"url"`
	// Fetched is when the bundle came, in this process.
	Fetched time.Time `json:"fetched,omitzero"`
	// Sequence and Roots are the bundle's; Roots is 0 while there is none.
	Sequence uint64 `json:"sequence,omitempty"`
	Roots    int    `json:"roots"`
	// Error is why the last fetch failed.
	Error string `json:"error,omitempty"`
}

// New makes a Federation with the bundles that were kept. It does not connect.
func New(o Options) (*Federation, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	o.Relations = slices.Clone(o.Relations)
	if err := errors.Join(check(o.Relations), Check(o.Own, o.Relations)); err != nil {
		return nil, fmt.Errorf("federation: %w", err)
	}
	f := &Federation{opt: o}
	for _, r := range o.Relations {
		p := &trusted{Relation: r}
		if err := f.begin(p); err != nil {
			return nil, fmt.Errorf("federation with %s: %w", r.td, err)
		}
		f.peers = append(f.peers, p)
	}
	return f, nil
}

// begin takes what was kept or, if it is newer, what the configuration has.
func (f *Federation) begin(p *trusted) error {
	kept, keptAt, err := read(p.td, f.file(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.opt.Log.Warn("the trust bundle that was kept cannot be read", "trust-domain", p.td.Name(), "error", err)
	}
	p.bundle = kept
	if p.BundleFile != "" {
		given, at, err := read(p.td, p.BundleFile)
		if err != nil {
			return fmt.Errorf("bundleFile: %w", err)
		}
		if kept == nil || at.After(keptAt) {
			p.bundle = given
		}
	}
	self := p.endpoint.TrustDomain() == p.td
	if p.Profile == SPIFFE && self && p.bundle == nil {
		return errors.New("bundleFile: a bundle to begin with is needed, to verify the endpoint by")
	}
	return nil
}

func (f *Federation) file(p *trusted) string { return filepath.Join(f.opt.Folder, p.td.Name()+".json") }

func read(td identity.TrustDomain, path string) (*identity.Bundle, time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	b, err := identity.ParseBundle(td, text)
	return b, info.ModTime(), err
}

// Bundles are those that there are, in the order of relations.
func (f *Federation) Bundles() (out []*identity.Bundle) {
	for _, p := range f.peers {
		if b := p.current(); b != nil {
			out = append(out, b)
		}
	}
	return out
}

func (p *trusted) current() *identity.Bundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bundle
}

// bundleOf is that of a relation, or of somebody else who is trusted.
func (f *Federation) bundleOf(td identity.TrustDomain) *identity.Bundle {
	for _, p := range f.peers {
		if p.td == td {
			return p.current()
		}
	}
	if f.opt.Trusted != nil {
		return f.opt.Trusted(td)
	}
	return nil
}

// States are how the relations stand.
func (f *Federation) States() []State {
	out := make([]State, 0, len(f.peers))
	for _, p := range f.peers {
		p.mu.Lock()
		s := State{TrustDomain: p.td.Name(), URL: p.URL, Fetched: p.fetched, Error: p.failing}
		if p.bundle != nil {
			s.Sequence, s.Roots = p.bundle.Sequence(), len(p.bundle.Roots())
		}
		p.mu.Unlock()
		out = append(out, s)
	}
	return out
}

// Run fetches bundles as often as each wants to be asked, until ctx ends. What fails is
// tried again at the next time, as the standard has it (§6.2).
func (f *Federation) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range f.peers {
		all.Go(func() {
			for ctx.Err() == nil {
				f.refresh(ctx, p)
				timer := time.NewTimer(p.interval())
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
				timer.Stop()
			}
		})
	}
	all.Wait()
}

func (p *trusted) interval() time.Duration {
	b := p.current()
	if b == nil || b.RefreshHint() == 0 {
		return defaultInterval
	}
	return min(max(b.RefreshHint(), minInterval), maxInterval)
}

// Refresh fetches all bundles at once.
func (f *Federation) Refresh(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range f.peers {
		all.Go(func() { f.refresh(ctx, p) })
	}
	all.Wait()
}

// refresh fetches one bundle, and keeps the last good one if that fails.
func (f *Federation) refresh(ctx context.Context, p *trusted) {
	next, err := f.fetch(ctx, p)
	if err == nil {
		err = p.accept(next)
	}
	p.mu.Lock()
	was, failing := p.bundle, p.failing
	p.failing = ""
	if err != nil {
		p.failing = err.Error()
	} else {
		p.bundle, p.fetched = next, f.opt.Now()
	}
	p.mu.Unlock()
	name := p.td.Name()
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && failing != err.Error():
		f.opt.Log.Warn("the trust bundle of another trust domain cannot be had: the last good one goes on", "trust-domain", name, "error", err, "known", was != nil)
		return
	case err != nil:
		return
	case failing != "":
		f.opt.Log.Info("the trust bundle of another trust domain can be had again", "trust-domain", name)
	}
	if was != nil && was.Equal(next) {
		return
	}
	f.opt.Log.Info("a new trust bundle of another trust domain", "trust-domain", name, "sequence", next.Sequence(), "roots", len(next.Roots()))
	if err := f.keep(p, next); err != nil {
		f.opt.Log.Warn("the trust bundle of another trust domain cannot be kept: a process that starts anew has to fetch it", "trust-domain", name, "error", err)
	}
	f.opt.Changed()
}

// accept refuses bundles that would end the relation by mistake.
func (p *trusted) accept(next *identity.Bundle) error {
	if len(next.Roots())+len(next.JWTKeys()) == 0 {
		return errors.New("the endpoint has a bundle without any key")
	}
	was := p.current()
	if was != nil && next.Sequence() != 0 && next.Sequence() < was.Sequence() {
		return fmt.Errorf("the endpoint has an older bundle, of sequence %d, than the one that is known, of %d; if the trust domain began anew, give its bundle in bundleFile", next.Sequence(), was.Sequence())
	}
	return nil
}

func (f *Federation) keep(p *trusted, b *identity.Bundle) error {
	if err := os.MkdirAll(f.opt.Folder, 0o755); err != nil {
		return err
	}
	t, err := os.CreateTemp(f.opt.Folder, ".bundle.")
	if err != nil {
		return err
	}
	_, err = t.Write(b.JSON())
	if err = errors.Join(err, t.Sync(), t.Close()); err == nil {
		err = os.Rename(t.Name(), f.file(p))
	}
	if err != nil {
		return errors.Join(err, os.Remove(t.Name()))
	}
	return nil
}
