package admit

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// lookAgain is the least between two looks at the store for nodes that are not known.
	lookAgain = time.Second
	lookTime  = 2 * time.Second
	// maxNoted bounds the pairs of nodes and workloads that are remembered to be in the
	// audit log.
	maxNoted = 65536
)

// Nodes are the node proxies of the state store, with the workloads that each may have, as
// the token granted by which it joined last. Methods may be called at the same time.
type Nodes struct {
	db    *statedb.DB
	log   *slog.Logger
	svids *SVIDGrants

	mu      sync.Mutex
	grants  map[string]*nodeGrants // guarded by mu; by SPIFFE ID
	looked  time.Time              // guarded by mu: when one was missed
	changed func()                 // guarded by mu
}

// nodeGrants is what a node may have.
type nodeGrants struct {
	jointoken.Grants
	// SVID is the SPIFFE ID of the SVID by which it joined. Then what the grants of that
	// say now holds, and not what they said then.
	SVID string `json:"svid,omitempty"`
}

// ErrUnknownNode: the state store, as far as it could be looked at, has no such node.
var ErrUnknownNode = errors.New("no node proxy has joined by that name, as far as this control plane knows; it has to join anew")

// NewNodes makes them of a store. svids are what nodes may have that joined by SVIDs; they
// and log may be nil.
func NewNodes(db *statedb.DB, svids *SVIDGrants, log *slog.Logger) *Nodes {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Nodes{db: db, log: log, svids: svids, grants: map[string]*nodeGrants{}}
}

// OnChange has f called whenever what nodes may have may have changed.
func (n *Nodes) OnChange(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = f
}

// Changed is to be called when the grants for joining by SVIDs have.
func (n *Nodes) Changed() { n.tell() }

// tell calls what OnChange was given.
func (n *Nodes) tell() {
	n.mu.Lock()
	f := n.changed
	n.mu.Unlock()
	if f != nil {
		f()
	}
}

// Run takes in the nodes that join at other control planes, until ctx ends.
func (n *Nodes) Run(ctx context.Context) error {
	n.db.Follow(ctx, n.log, "what node proxies may have", statedb.MeshNodes, func(ctx context.Context) error {
		err := n.load(ctx)
		if err == nil {
			n.tell()
		}
		return err
	})
	return nil
}

// load reads the store; what is known holds while it cannot be read.
func (n *Nodes) load(ctx context.Context) error {
	var list []statedb.MeshNode
	err := n.db.Read(ctx, func(tx *statedb.Tx) (err error) {
		list, err = tx.MeshNodes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	grants := make(map[string]*nodeGrants, len(list))
	for i := range list {
		g := &nodeGrants{}
		if err := json.Unmarshal([]byte(list[i].Grants), g); err != nil {
			n.log.Error("what a node proxy may have cannot be read", "node", list[i].Node, "error", err)
			continue
		}
		grants[list[i].Node] = g
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.grants = grants
	return nil
}

// Allow tells whether a node proxy may have a workload.
func (n *Nodes) Allow(node, workload identity.ID) bool {
	is, err := n.May(node, workload)
	return is && err == nil
}

// May tells it, too, apart from that nothing is known of the node.
func (n *Nodes) May(node, workload identity.ID) (bool, error) {
	if identity.NameOf(node).Role != identity.RoleNode {
		return false, errors.New("only a node proxy may have workloads")
	}
	g := n.of(node.String())
	if g == nil {
		return false, ErrUnknownNode
	}
	now := g.Grants
	if g.SVID != "" {
		now, _ = n.svids.find(g.SVID, identity.NameOf(node)) // none grants nothing
	}
	return node.TrustDomain() == workload.TrustDomain() && now.AllowWorkload(identity.NameOf(workload)), nil
}

// of looks at the store for a node that is not known: it may have joined at another control
// plane a moment ago.
func (n *Nodes) of(node string) *nodeGrants {
	n.mu.Lock()
	g, again := n.grants[node], time.Since(n.looked) > lookAgain
	if g == nil && again {
		n.looked = time.Now()
	}
	n.mu.Unlock()
	if g != nil || !again {
		return g
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	if err := n.load(ctx); err != nil {
		n.log.Warn("what a node proxy may have cannot be read", "node", node, "error", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grants[node]
}

// joined notes what a node that has joined may have; the store knows it.
func (n *Nodes) joined(node identity.ID, g nodeGrants) {
	n.mu.Lock()
	n.grants[node.String()] = &g
	n.mu.Unlock()
	n.tell()
}

// Delegate gives a node proxy the SVID of one of its workloads.
func (s *Server) Delegate(ctx context.Context, r *meshpb.DelegateRequest) (_ *meshpb.SVIDResponse, err error) {
	defer func() { s.counts.asked("workload", err) }()
	id, node, err := s.delegated(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, id, r.GetCsr(), "node "+identity.NameOf(node).Node, s.news(node, id))
}

// delegated is the workload that a node proxy speaks for, if it may.
func (s *Server) delegated(ctx context.Context, want *meshpb.Identity) (id, node identity.ID, err error) {
	if node, err = s.caller(ctx); err != nil {
		return id, node, err
	}
	if id, err = s.wanted(want); err != nil {
		return id, node, err
	}
	if s.opt.Nodes == nil || identity.NameOf(id).Role != identity.RoleWorkload || !s.opt.Nodes.Allow(node, id) {
		return id, node, status.Errorf(codes.PermissionDenied,
			"%s may not have %s: what it joined by last does not grant it: a join token (gridway identity token create --node NAME --namespace NAMESPACE --service NAME), or a grant in the file of --svid-joins", node, id)
	}
	return id, node, nil
}

// news tells whether a node asks for a workload for the first time of this process, and
// remembers it: renewals are not worth a line of the audit log.
func (s *Server) news(node, id identity.ID) bool {
	s.noteMu.Lock()
	defer s.noteMu.Unlock()
	key := [2]string{node.String(), id.String()}
	if s.noted[key] {
		return false
	}
	if len(s.noted) >= maxNoted {
		clear(s.noted)
	}
	s.noted[key] = true
	return true
}
