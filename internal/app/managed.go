package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/manage/objects/objectsdb"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// keeping is what a Gateway has of managed objects; all of it is nil without a store.
type keeping struct {
	managed *managed.Source
	changes *objectsdb.Service

	sealing sync.Mutex
	sealed  [][]byte // secrets, guarded by sealing; nil until they are needed
}

// stateKey is the file of the sealing secret, in the state folder.
const stateKey = "state-store.key"

// putTimeout bounds the wait until what was stored is in service here.
const putTimeout = 20 * time.Second

// openManaged prepares what keeps objects. A secret that was named is looked at now.
func (g *Gateway) openManaged() {
	g.managed = managed.New(managed.Options{DB: g.db, Log: g.log, Seals: g.stateSeals, Changed: func() {
		select {
		case g.news <- struct{}{}:
		default: // it will look anyway
		}
	}})
	g.changes = objectsdb.New(objectsdb.Options{
		DB: g.db, Source: g.managed, Audit: g.access, Seals: g.stateSeals, InFile: g.fileHas, Trial: g.trial, Stored: g.putStored,
	})
}

// stateSecrets are those by which Secrets are sealed in the store. One that is made is so
// when it is needed: most gateways never have a file of it.
func (g *Gateway) stateSecrets() (_ [][]byte, err error) {
	const what = "secret that seals Secrets in the state store"
	g.sealing.Lock()
	defer g.sealing.Unlock()
	if g.sealed != nil {
		return g.sealed, nil
	}
	switch {
	case g.opt.StateKeyFile != "":
		g.sealed, err = seal.ReadSecrets(what, g.opt.StateKeyFile)
	case g.opt.Mesh != nil && g.opt.Mesh.KeyFile != "":
		g.sealed, err = seal.ReadSecrets(what, g.opt.Mesh.KeyFile)
	case g.opt.State.Embedded():
		g.sealed, err = seal.ReadOrMakeSecret(what, filepath.Join(g.opt.StateDir, stateKey), "Seals Secrets in the state store. Without it they are lost: back it up, not beside the store.")
	default:
		err = errors.New("gateways that share a state store need the same secret for the Secrets in it: start each with the same --state-key-file")
	}
	return g.sealed, err
}

func (g *Gateway) stateSeals() (seal.Keys, error) {
	secrets, err := g.stateSecrets()
	if err != nil {
		return nil, err
	}
	return seal.New(secrets, managed.Use), nil
}

// beneath adds managed objects, which are in their order, where a set has none of their
// keys.
func beneath(set *store.Set, list []*store.Object) (_ *store.Set, hidden []*store.Object) {
	for len(list) > 0 {
		gk, n := store.GroupKind{Group: list[0].Key.Group, Kind: list[0].Key.Kind}, 1
		for n < len(list) && list[n].Key.Group == gk.Group && list[n].Key.Kind == gk.Kind {
			n++
		}
		var more []*store.Object
		set, more = set.Beneath(gk, list[:n:n])
		hidden = append(hidden, more...)
		list = list[n:]
	}
	return set, hidden
}

// managedProblems are those of managed objects that cannot be read.
func (g *Gateway) managedProblems() []store.Problem {
	if g.managed == nil {
		return nil
	}
	return g.managed.State().Problems
}

// storeProblems are those of objects of the state store.
func (g *Gateway) storeProblems(set *store.Set, hidden []*store.Object) []store.Problem {
	out := append(hiddenProblems(set, hidden), g.managedProblems()...)
	if g.control != nil {
		out = append(out, g.control.registered(set)...)
	}
	return out
}

// fileHas tells where an object stands that a file has. Without a group it is known by its
// kind, in any case of letters.
func (g *Gateway) fileHas(k store.Key) (place string, found bool) {
	g.mu.Lock()
	set := g.state.files
	g.mu.Unlock()
	if set == nil {
		return "", false
	}
	o := set.Get(k)
	for _, gk := range set.Kinds() {
		if o == nil && k.Group == "" && strings.EqualFold(gk.Kind, k.Kind) {
			o = set.Get(store.Key{Group: gk.Group, Kind: gk.Kind, Namespace: k.Namespace, Name: k.Name})
		}
	}
	if o == nil {
		return "", false
	}
	return o.Locate("").String(), true
}

// trial tells what would be wrong with the configuration if these were the managed
// objects. It changes nothing, and depends on nothing that was in service before.
func (g *Gateway) trial(list []*store.Object) []store.Problem {
	g.mu.Lock()
	set := g.state.files
	g.mu.Unlock()
	if set == nil {
		set = store.NewSet(nil)
	}
	files := set
	set, _ = beneath(set, list)
	if g.control != nil {
		services, _ := g.control.registry.Services()
		set, _ = set.Beneath(store.GroupKind{Kind: "Service"}, services)
	}
	set = set.With(g.made(), nil)
	out := compile.Compile(compile.Input{
		Set: set, Refused: store.Refused(files, g.Problems()), Now: time.Now(), SessionKey: g.opt.SessionKey, Mesh: g.opt.Mesh != nil,
	}, nil)
	findings, err := lint.Check(out.Config, set)
	if err != nil {
		findings = append(findings, store.Problem{Severity: store.Error, Code: "InvalidRoutes", Message: err.Error()})
	}
	return append(out.Problems, findings...)
}

// putStored puts in service what was stored a moment ago, whatever becomes of the request
// that had it stored.
func (g *Gateway) putStored(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	g.mu.Lock()
	draining := g.state.phase == adminapi.Draining
	g.mu.Unlock()
	if draining {
		return errors.New("the process is about to end")
	}
	if _, err := g.managed.Load(ctx); err != nil {
		return err
	}
	return g.applyAgain(ctx)
}

// managedAlone tells whether what could not be put in service at the start are listeners
// of managed Gateways, which no file has: what others have stored keeps no process from
// starting. They are tried again.
func (g *Gateway) managedAlone(cfg *ir.Config, set *store.Set, err error) bool {
	closed, defects := sortErrors(err)
	if defects != nil {
		return false
	}
	for _, l := range cfg.Listeners {
		if _, bad := closed[l.Name]; !bad {
			continue
		}
		for _, s := range l.Sections {
			n, parseErr := objects.ParseName(s.Name[:strings.LastIndexByte(s.Name, '/')])
			if parseErr != nil {
				return false
			}
			o := set.Get(store.Key{Group: "gateway.networking.k8s.io", Kind: n.Kind, Namespace: n.Namespace, Name: n.Name})
			if o == nil || o.Source != managed.Name {
				return false
			}
		}
	}
	return true
}

// applier is nil without a store.
func (g *Gateway) applier() adminapi.Managed {
	if g.changes == nil {
		return nil
	}
	return g.changes
}
