package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/source/signingkeys"
	statesource "github.com/gridway/gridway/internal/config/source/state"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/election"
	"github.com/gridway/gridway/internal/manage/leasing"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/statedb"
)

// stored is what a Gateway has with a state store; all of it is nil without one.
type stored struct {
	db     *statedb.DB
	access *accessdb.Service
	keeping
	objects  *statesource.Source
	signing  *signingkeys.Source
	election *election.Elector
	// news is told that objects of the store have changed.
	news chan struct{}
}

// periodicWork is what one of the processes that share a store does for all.
const periodicWork = "periodic"

// usesEvery is how often the last uses of credentials are written down, and read
// from other processes.
const usesEvery = 10 * time.Second

// flushTimeout bounds the wait for a store that takes nothing any more.
const flushTimeout = 2 * time.Second

// openState opens the state store, if there is to be one, and reads it.
func (g *Gateway) openState(ctx context.Context) (err error) {
	if g.opt.State == nil {
		return nil
	}
	if g.db, err = statedb.Open(ctx, statedb.Options{Location: *g.opt.State, Log: g.log}); err != nil {
		return err
	}
	g.access = accessdb.New(accessdb.Options{DB: g.db, Elsewhere: g.inFile})
	show := g.opt.ShowTokens
	if show == nil {
		show = func([]access.CreatedToken) error { return nil }
	}
	if err := g.access.Bootstrap(ctx, show); err != nil {
		return fmt.Errorf("first tokens of the admin API: %w", err)
	}
	g.election = election.New(election.Options{DB: g.db, Work: periodicWork, Process: processName() + "/" + rand.Text()[:6], Log: g.log})
	g.news = make(chan struct{}, 1)
	g.objects = statesource.New(statesource.Options{DB: g.db, Log: g.log, Changed: func() {
		select {
		case g.news <- struct{}{}:
		default: // it will look anyway
		}
	}})
	g.openManaged()
	g.signing = signingkeys.New(signingkeys.Options{DB: g.db, Log: g.log, Changed: g.lookAgain})
	began := time.Now()
	if _, err := g.objects.Load(ctx); err != nil {
		return fmt.Errorf("%s: %w", g.db.Location(), err)
	}
	if _, err := g.managed.Load(ctx); err != nil {
		return fmt.Errorf("%s: %w", g.db.Location(), err)
	}
	g.log.Info("state store", "store", g.db.Location().String(), "consumers", len(g.objects.Objects()), "objects", len(g.managed.State().Objects), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// inFile tells where a consumer stands that the files have.
func (g *Gateway) inFile(namespace, name string) (place string, found bool) {
	g.mu.Lock()
	set := g.state.set
	g.mu.Unlock()
	if set == nil {
		return "", false
	}
	o := set.Get(store.Key{Group: statesource.Kind.Group, Kind: statesource.Kind.Kind, Namespace: namespace, Name: name})
	if o == nil || o.Source == statesource.Name {
		return "", false
	}
	return o.Locate("").String(), true
}

// complete adds what does not come from the source: objects of the state store,
// where the source has none of their names, certificates that were issued, and keys
// for tokens.
func (g *Gateway) complete(set *store.Set) (full *store.Set, hidden []*store.Object) {
	if g.managed != nil {
		set, hidden = beneath(set, g.managed.State().Plain())
	}
	if g.objects != nil {
		var more []*store.Object
		set, more = set.Beneath(statesource.Kind, g.objects.Objects())
		hidden = append(hidden, more...)
	}
	if g.control != nil {
		set = g.control.beneath(set)
	}
	return set.With(g.made(), nil), hidden
}

// made are the Secrets that are made here.
func (g *Gateway) made() []*store.Object {
	out := g.acme.Objects()
	if g.signing != nil {
		out = append(out, g.signing.Objects()...)
	}
	return out
}

// maxHidden bounds the problems that are told of one kind.
const maxHidden = 100

// hiddenProblems tells of objects of the state store whose names the files have.
func hiddenProblems(set *store.Set, hidden []*store.Object) (out []store.Problem) {
	for _, o := range hidden[:min(len(hidden), maxHidden)] {
		remedy := "take it out of the file, or out of the state store while the file does not have it"
		if o.Source == managed.Name {
			remedy = "take it out of the file for the managed one to serve, or remove that one: gridway delete " + strings.ToLower(o.Key.Kind) + " " + o.Key.Name
			if ns := o.Key.Namespace; ns != "" && ns != "default" {
				remedy += " -n " + ns
			}
		}
		out = append(out, store.Problem{
			Severity: store.Warning, Code: "HiddenByFile", Object: o.Key, Position: set.Get(o.Key).Locate("metadata.name"),
			Message: fmt.Sprintf("the state store has a %s of this name too, which is not in service: the file's holds", o.Key.Kind),
			Remedy:  remedy,
		})
	}
	return out
}

// applyState puts changes of the state store in service, until ctx ends.
func (g *Gateway) applyState(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.news:
		}
		_ = g.applyAgain(ctx) // it reports what fails
	}
}

// forgetEvery is how often it is looked for what says nothing any more: budgets of limits,
// and sessions of the console that have ended.
const forgetEvery = 10 * time.Minute

// forget removes them from the state store, until ctx ends.
func (g *Gateway) forget(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, elected := g.election.Mandate()
		if elected {
			if err := g.access.SweepSessions(ctx, time.Now()); err != nil && ctx.Err() == nil {
				g.log.Warn("sessions of the console that have ended cannot be removed from the state store now", "error", err)
			}
		}
		for more := elected; more; {
			var err error
			if more, err = (&leasing.Authority{DB: g.db}).Forget(ctx); err != nil && ctx.Err() == nil {
				g.log.Warn("budgets of limits that are over cannot be removed from the state store now", "error", err)
			}
		}
	}
}

// keepUses writes down when credentials were used last, until ctx ends and once
// more then, and takes over what other processes have written.
func (g *Gateway) keepUses(ctx context.Context) {
	u := uses{g: g}
	u.read(ctx)
	tick := time.NewTicker(usesEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u.write(ctx)
			u.read(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
			defer cancel()
			u.write(last)
			return
		}
	}
}

type uses struct {
	g             *Gateway
	written, seen time.Time
	failing       bool
}

func (u *uses) tell(err error) {
	if err != nil && !u.failing {
		u.g.log.Warn("the last uses of credentials cannot be kept now", "error", err)
	}
	u.failing = err != nil
}

// write notes what was used since the last time.
func (u *uses) write(ctx context.Context) {
	now := time.Now()
	list := u.g.plane.Consumers().Uses(u.written)
	if len(list) == 0 {
		u.written = now
		return
	}
	rows := make([]statedb.Use, len(list))
	for i, x := range list {
		rows[i] = statedb.Use{Namespace: x.Namespace, Digest: hex.EncodeToString(x.Digest[:]), At: x.At}
	}
	err := u.g.db.Write(ctx, func(tx *statedb.Tx) error { return tx.NoteUses(ctx, rows, now) })
	u.tell(err)
	if err == nil {
		u.written = now
	}
}

// skew is how far clocks of processes that share a store may be apart.
const skew = time.Minute

func (u *uses) read(ctx context.Context) {
	now := time.Now()
	var found []consumer.Use
	err := u.g.db.Read(ctx, func(tx *statedb.Tx) error {
		found = found[:0]
		return tx.UsesNoted(ctx, u.seen, func(row statedb.Use) error {
			x := consumer.Use{Namespace: row.Namespace, At: row.At}
			if n, err := hex.Decode(x.Digest[:], []byte(row.Digest)); err == nil && n == len(x.Digest) {
				found = append(found, x)
			}
			return nil
		})
	})
	u.tell(err)
	if err != nil {
		return
	}
	u.seen = now.Add(-skew)
	for _, x := range found {
		u.g.plane.Consumers().Seen(x)
	}
}

// closeState gives the store back.
func (g *Gateway) closeState() error {
	if g.db == nil {
		return nil
	}
	return g.db.Close()
}
