package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/source/acme"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// openIssuing prepares the source of certificates.
func (g *Gateway) openIssuing() {
	g.storage = acme.NewFiles(filepath.Join(cmp.Or(g.opt.StateDir, "."), "acme"))
	g.acme = acme.New(acme.Options{
		Storage: g.storage, Log: g.log, UserAgent: "gridway/" + cmp.Or(g.opt.Build.Version, "devel"),
		Changed: g.lookAgain,
	})
}

// lookAgain has applyIssued put in service what is new.
func (g *Gateway) lookAgain() {
	select {
	case g.issued <- struct{}{}:
	default: // it will look anyway
	}
}

// startIssuing gives the first configuration the certificates and keys that are stored.
// A storage that cannot be used is fatal now, and a warning later.
func (g *Gateway) startIssuing(ctx context.Context, snap file.Snapshot) error {
	if len(g.out.Orders) > 0 {
		if err := g.storage.Open(); err != nil {
			return err
		}
		g.acme.Set(ctx, g.out.Orders)
	}
	g.orderKeys(ctx)
	if set, _ := g.complete(snap.Set); set != snap.Set {
		snap.Set = set
		g.out = compile.Compile(g.input(snap), nil)
	}
	return nil
}

// compile compiles a set with what does not come from the source, and returns what
// was compiled. What changed of that is added to changed.
func (g *Gateway) compile(ctx context.Context, snap file.Snapshot) file.Snapshot {
	before := g.out
	base := snap.Set
	snap.Changed = slices.Clone(snap.Changed)
	if g.objects != nil {
		snap.Changed = append(snap.Changed, g.objects.Changes()...)
		snap.Changed = append(snap.Changed, g.managed.Changes()...)
	}
	var hidden []*store.Object
	snap.Set, hidden = g.complete(base)
	g.out = compile.Compile(g.input(snap), before)
	g.acme.Set(ctx, g.out.Orders)
	g.orderKeys(ctx)
	// Orders that are new may be satisfied already by what is stored.
	if again, now := g.complete(base); !sameSecrets(again, snap.Set) {
		snap.Set, hidden = again, now
		g.out = compile.Compile(g.input(snap), before)
	}
	snap.Problems = append(slices.Clone(snap.Problems), g.storeProblems(snap.Set, hidden)...)
	for _, o := range g.made() {
		snap.Changed = append(snap.Changed, o.Key)
	}
	return snap
}

// orderKeys tells the state store's keys what TokenIssuers want.
func (g *Gateway) orderKeys(ctx context.Context) {
	if g.signing != nil {
		g.signing.Set(ctx, g.out.SigningOrders)
	}
}

func sameSecrets(a, b *store.Set) bool {
	return slices.Equal(a.Kind("", "Secret"), b.Kind("", "Secret"))
}

// applyIssued puts certificates in service as they come, until ctx ends.
func (g *Gateway) applyIssued(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.issued:
		}
		_ = g.applyAgain(ctx) // it reports what fails
	}
}

// issuers adds to the statuses of CertificateIssuers whether their certificates
// are there.
func issuers(list []status.Object, states []issuance.State, now time.Time) []status.Object {
	for i := range list {
		if list[i].Key.Kind == v1alpha1.KindCertificateIssuer {
			list[i].Conditions = status.Set(slices.Clone(list[i].Conditions), ready(&list[i], states, now))
		}
	}
	return list
}

func ready(o *status.Object, states []issuance.State, now time.Time) status.Condition {
	c := status.Condition{Type: "Ready", Status: status.True, Reason: string(issuance.Issued), Generation: o.Generation}
	wanted, valid := 0, 0
	for i := range states {
		s := &states[i]
		if s.Order.Issuer != o.Key {
			continue
		}
		wanted++
		if s.Valid(now) {
			valid++
		} else if c.Status == status.True {
			c.Status, c.Reason = status.False, string(s.Phase)
		}
		if s.Error != "" && c.Message == "" {
			c.Message = fmt.Sprintf("; %s: %s", s.Order.Secret.Name, s.Error)
		}
	}
	c.Message = fmt.Sprintf("%d of %d certificates are valid%s", valid, wanted, c.Message)
	return c
}

// certificates are the states as the admin API shows them.
func certificates(states []issuance.State, now time.Time) []adminapi.Certificate {
	out := []adminapi.Certificate{}
	for i := range states {
		s := &states[i]
		out = append(out, adminapi.Certificate{
			Secret: s.Order.Secret.String(), Issuer: s.Order.Issuer.String(), Names: s.Order.Names, Directory: s.Order.Directory,
			Phase: string(s.Phase), Valid: s.Valid(now), Serial: s.Serial, NotBefore: s.NotBefore, NotAfter: s.NotAfter,
			NextTry: s.Next, Failures: s.Tries, FailedAt: s.Failed, Error: s.Error,
		})
	}
	return out
}

// observeCertificates lets metrics see the certificates.
func (g *Gateway) observeCertificates() {
	g.metrics.SetCertificates(func(yield func(metric.Certificate)) {
		g.acme.Count(func(s issuance.State, n acme.Counts) {
			yield(metric.Certificate{
				Secret: s.Order.Secret.Namespace + "/" + s.Order.Secret.Name, Issuer: s.Order.Issuer.Namespace + "/" + s.Order.Issuer.Name,
				NotBefore: s.NotBefore, NotAfter: s.NotAfter, Next: s.Next, Failures: s.Tries, Issued: n.Issued, Failed: n.Failed,
			})
		})
	})
}
