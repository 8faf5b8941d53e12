package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/app/live"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/handover"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/console"
	"github.com/gridway/gridway/internal/surface/signin"
)

// ErrAdminTaken: another program has the admin address.
var ErrAdminTaken = errors.New("the admin API's address is taken")

func (g *Gateway) openAdmin(ctx context.Context) error {
	if g.opt.Admin == "off" {
		return nil
	}
	api := &runtime{g: g}
	var (
		err  error
		open net.Listener
	)
	if t := g.predecessor(); t != nil {
		open = t.Listener(handover.RoleAdmin, g.opt.Admin)
	}
	var secure *tls.Config
	if f := g.opt.AdminTLS; f != nil {
		if secure, err = f.Config(g.log); err != nil {
			return err
		}
	}
	if g.opt.ConsoleLogin != nil {
		g.signIn = signin.New(signin.Options{Settings: g.opt.ConsoleLogin, Secrets: g.loginSecrets(), Log: g.log})
	}
	seen := g.observer()
	g.admin, err = adminapi.New(ctx, adminapi.Options{
		TLS: secure, ClientCertificates: secure != nil && g.opt.AdminTLS.ClientCA != "", AllowPlain: g.opt.AdminPlain,
		Address: g.opt.Admin, Listener: open, Token: g.opt.AdminToken, Access: g.accounts(), SignIn: g.signIn, Managed: g.applier(), Revisions: g.revisions(),
		Mesh: g.Members(), Services: api, Traffic: g.traffic(), Signals: g.graph(), Process: api, Configuration: api, Explainer: api,
		Sampler: g.metrics, Metrics: g.metrics.Handler(), Observer: seen, Records: seen, Effects: &effects{g, seen}, Console: console.Handler(), Level: g.opt.Level, Log: g.log,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w", ErrAdminTaken, err)
	}
	return err
}

// loginSecrets seal what logins at the OpenID provider are begun with: those of the state
// store, so that any process of it ends what another one has begun.
func (g *Gateway) loginSecrets() [][]byte {
	if g.db == nil {
		return nil
	}
	secrets, err := g.stateSecrets()
	if err != nil {
		g.log.Warn("a login to the console must end at the process where it was begun", "error", err)
	}
	return secrets
}

func (g *Gateway) closeLogin() {
	if g.signIn != nil {
		g.signIn.Close()
	}
}

// loginNeeds is the provider of logins to the console.
func (g *Gateway) loginNeeds() []adminapi.Dependency {
	if g.signIn == nil {
		return nil
	}
	d := adminapi.Dependency{Kind: "login", Owner: "console", Name: g.signIn.Issuer(), Place: g.signIn.Issuer(), Up: true}
	if s := g.signIn.State(); s.Err != "" {
		d.Up, d.Since, d.Error, d.Kept = false, s.Since, s.Err, s.Kept
	}
	return []adminapi.Dependency{d}
}

// runtime is the gateway as the admin API sees it.
type runtime struct {
	g     *Gateway
	table live.Tables
}

// State is cheap.
func (r *runtime) State() adminapi.State {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.state.phase
}

// Status gathers everything that status shows.
func (r *runtime) Status() adminapi.Status {
	g := r.g
	g.mu.Lock()
	s := g.state
	g.mu.Unlock()
	out := adminapi.Status{
		State: s.phase, Version: g.opt.Build.Version, PID: os.Getpid(), Started: g.started, LastFailure: s.failure,
		Revision: adminapi.Revision{At: s.at, Took: s.took, Sources: g.opt.Source.Names()},
		Objects:  map[string]int{},
	}
	g.following.Lock()
	out.Predecessor = g.drains
	g.following.Unlock()
	if s.config == nil {
		return out
	}
	out.Revision.Number = s.config.Revision
	for _, gk := range s.set.Kinds() {
		out.Objects[gk.Kind] += len(s.set.Kind(gk.Group, gk.Kind))
	}
	for _, p := range s.problems {
		out.Problems = append(out.Problems, problem(p))
	}
	for _, key := range sortedKeys(s.refused) {
		f := s.refused[key]
		out.Refused = append(out.Refused, adminapi.Refused{
			Object: key.String(), Place: placeOf(f.at), Since: f.since, LastGood: s.versions[key].revision, Why: f.why,
		})
	}
	s.progress.Changed = func(k store.Key) uint64 { return g.accepted(s.set, k).revision }
	out.Listeners = r.listeners(&s)
	out.RateLimitStores = live.RateLimitStores(g.plane.RateLimitStores())
	out.Sinks = g.live().Sinks()
	out.Dependencies, out.Election = append(g.live().Needs(), g.loginNeeds()...), g.electionStatus()
	var f *fleet.Fleet
	if g.control != nil {
		f = g.fleet()
		out.Mesh = g.control.meshStatus(g.opt.Mesh, f)
		s.progress = g.progressIn(s.progress, f, s.config)
	}
	out.Troubles, out.MoreTroubles = g.troublesIn(f)
	states := g.acme.States()
	now := time.Now()
	out.Certificates = certificates(states, now)
	for _, o := range s.judged(states, now) {
		out.Statuses = append(out.Statuses, objectStatus(o))
	}
	return out
}

// judged are the statuses of objects with all that compile does not know.
func (s *state) judged(states []issuance.State, now time.Time) []status.Object {
	return issuers(status.Program(served(s.statuses(), s.progress, s.set), s.progress), states, now)
}

// statusesByKey are the statuses as objects of Kubernetes have them.
func (r *runtime) statusesByKey() map[store.Key]json.RawMessage {
	g := r.g
	g.mu.Lock()
	s := g.state
	g.mu.Unlock()
	s.progress.Changed = func(k store.Key) uint64 { return g.accepted(s.set, k).revision }
	if g.control != nil {
		s.progress = g.progressIn(s.progress, g.fleet(), s.config)
	}
	out := map[store.Key]json.RawMessage{}
	for _, o := range s.judged(g.acme.States(), time.Now()) {
		if v, err := json.Marshal(o.Value(compile.ControllerName)); err == nil { // it always marshals
			out[o.Key] = v
		}
	}
	return out
}

func problem(p store.Problem) adminapi.Problem {
	out := adminapi.Problem{
		Severity: string(p.Severity), Code: p.Code, Field: p.Field, Place: placeOf(p.Position), Message: p.Message, Remedy: p.Remedy,
	}
	if p.Object != (store.Key{}) {
		out.Object = p.Object.String()
	}
	return out
}

func placeOf(p store.Position) adminapi.Place {
	return adminapi.Place{File: p.File, Line: p.Line, Column: p.Column}
}

func sortedKeys[V any](m map[store.Key]V) []store.Key {
	keys := make([]store.Key, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b store.Key) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

func objectStatus(o status.Object) adminapi.ObjectStatus {
	out := adminapi.ObjectStatus{
		Object: o.Key.String(), Place: placeOf(o.Position), Addresses: o.Addresses,
		AttachedListenerSets: o.AttachedListenerSets, Conditions: []adminapi.Condition{},
	}
	add := func(of string, list []status.Condition) {
		for _, c := range list {
			out.Conditions = append(out.Conditions, adminapi.Condition{
				Of: of, Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message, ObservedGeneration: c.Generation,
			})
		}
	}
	add("", o.Conditions)
	for _, l := range o.Listeners {
		out.Sections = append(out.Sections, adminapi.SectionStatus{
			Name: l.Name, SupportedKinds: append([]string{}, l.SupportedKinds...), AttachedRoutes: l.AttachedRoutes,
		})
		add("listener "+l.Name, l.Conditions)
	}
	for _, list := range [][]status.Relation{o.Parents, o.Ancestors} {
		for _, rel := range list {
			add(rel.Ref.String(), rel.Conditions)
		}
	}
	return out
}

// Config is the configuration in service.
func (r *runtime) Config() *ir.Config {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.state.config
}

// Mesh is what is compiled of Services.
func (r *runtime) Mesh() *ir.Mesh {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.state.mesh
}

// Passage decides an imagined request of a service with the configuration in service and
// the workloads that are known now.
func (r *runtime) Passage(_ context.Context, q dryrun.PassageRequest) (*dryrun.Passage, error) {
	return r.g.passage(q)
}

// Objects lists what the user wrote.
func (r *runtime) Objects(values bool) []adminapi.Object {
	r.g.mu.Lock()
	set, found := r.g.state.set, r.g.state.problems
	r.g.mu.Unlock()
	if set == nil {
		return nil
	}
	var statuses map[store.Key]json.RawMessage
	problems := map[store.Key][]adminapi.Problem{}
	if values {
		statuses = r.statusesByKey()
		for _, p := range found {
			problems[p.Object] = append(problems[p.Object], problem(p))
		}
	}
	var kept managed.State
	if r.g.managed != nil {
		kept = r.g.managed.State()
	}
	var out []adminapi.Object
	for _, gk := range set.Kinds() {
		for _, o := range set.Kind(gk.Group, gk.Kind) {
			x := adminapi.Object{
				APIVersion: o.Version, Kind: o.Key.Kind, Namespace: o.Key.Namespace, Name: o.Key.Name,
				Source: o.Source, Place: placeOf(o.Locate("")), Hash: strconv.FormatUint(o.Hash, 16),
			}
			if o.Key.Group != "" {
				x.APIVersion = o.Key.Group + "/" + o.Version
			}
			if o.Source == managed.Name {
				x.Place = adminapi.Place{}
				if m := kept.Find(o.Key); m != nil {
					x.Revision = m.Revision
					// What is stored may be newer than what serves.
					if values && m.Hash == o.Hash {
						x.Text = m.Text
					}
				}
			}
			if values {
				if v, err := json.Marshal(o.Value); err == nil { // API types always marshal
					x.Value = v
				}
				x.Status, x.Problems = statuses[o.Key], problems[o.Key]
			}
			out = append(out, x)
		}
	}
	return out
}

// Consumers are those who may call, behind one of these names.
func (r *runtime) Consumers(namespace, name string) iter.Seq[adminapi.Consumer] {
	return r.g.live().ConsumersAfter(r.Config(), namespace, name) // of a control plane, whose edges judge by them
}

// Clusters is their live state.
func (r *runtime) Clusters() []adminapi.Cluster { return r.g.live().Clusters(r.Config()) }

// Explain decides an imagined request with the configuration in service and
// the endpoints that are known now.
func (r *runtime) Explain(_ context.Context, req dryrun.Request) (*dryrun.Decision, error) {
	return r.g.live().Explain(&r.table, r.Config(), req)
}
