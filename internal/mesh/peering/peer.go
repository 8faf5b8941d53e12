package peering

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

const (
	// minPause and maxPause are between two tries to reach a peer.
	minPause = time.Second
	maxPause = 5 * time.Second
)

// alive has a control plane that is gone without a word be noticed. Servers allow it
// every ten seconds.
var alive = keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 5 * time.Second}

// peer is one other mesh.
type peer struct {
	importer *Importer
	name     string
	td       identity.TrustDomain
	// addresses are those of the spec, which do not change in the peer's life.
	addresses []string
	stop      context.CancelFunc // guarded by the importer's mu; nil before it runs

	mu    sync.Mutex   // guards what follows
	spec  *ir.MeshPeer // with the newest imports
	offer *offer       // nil is that nothing is known
	gone  bool
	state State
}

// newPeer has what it said before: to its predecessor, or as it was kept.
func newPeer(m *Importer, spec *ir.MeshPeer, td identity.TrustDomain, before *offer) *peer {
	p := &peer{importer: m, name: spec.Name, td: td, addresses: spec.Addresses, spec: spec, state: State{Name: spec.Name, TrustDomain: td.Name(), Since: m.opt.Now()}}
	if before != nil {
		p.offer = before
		p.put()
		return p
	}
	kept, err := os.ReadFile(p.file())
	if errors.Is(err, fs.ErrNotExist) {
		return p
	}
	o := &meshpb.Offer{}
	if err == nil {
		err = proto.Unmarshal(kept, o)
	}
	if err == nil {
		p.offer, err = readOffer(td, o)
	}
	if err != nil {
		m.opt.Log.Warn("what was kept of another mesh cannot be read", "peer", p.name, "error", err)
		return p
	}
	p.put()
	return p
}

// file is of the peer under this name and trust domain.
func (p *peer) file() string {
	return filepath.Join(p.importer.opt.Folder, p.name+"@"+p.td.Name()+".offer")
}

// put has the registry know what there is. p.mu is held, or nobody else has p.
func (p *peer) put() {
	list := instances(p.spec, p.td, p.offer)
	seen := map[string]bool{}
	for _, i := range list {
		seen[i.Namespace+"/"+i.Service] = true
	}
	p.state.Services, p.state.Known = len(seen), p.offer != nil
	if p.offer != nil {
		p.state.Edges = len(p.offer.edges)
	}
	p.importer.opt.Into.Import(p.name, list)
}

// retire has it change nothing any more, and returns what it has. Nil has nothing. The
// importer's mu is held.
func (p *peer) retire() *offer {
	if p == nil {
		return nil
	}
	if p.stop != nil {
		p.stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	return p.offer
}

func (p *peer) current() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// follow asks until ctx ends. What was said last holds while nobody answers.
func (p *peer) follow(ctx context.Context) {
	log, pause := p.importer.opt.Log, minPause
	for ctx.Err() == nil {
		began := p.importer.opt.Now()
		for _, address := range p.addresses {
			err := p.watch(ctx, address)
			if ctx.Err() != nil {
				return
			}
			fresh := p.down(address, err)
			switch {
			case status.Code(err) == codes.PermissionDenied: // which is an answer
				_ = p.take(&meshpb.Offer{})
				if fresh {
					log.Warn("another mesh exports nothing to this one", "peer", p.name, "address", address, "error", err)
				}
			case fresh:
				log.Warn("the control plane of another mesh does not answer: what it said last holds", "peer", p.name, "address", address, "error", err)
			}
		}
		if p.importer.opt.Now().Sub(began) > maxPause {
			pause = minPause // it was there for a while
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, maxPause)
	}
}

// down notes why a control plane does not answer, and tells whether that is new.
func (p *peer) down(address string, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%s: %s", address, status.Convert(err).Message())
	fresh := p.state.Error != text
	if p.state.Error == "" {
		p.state.Since = p.importer.opt.Now()
	}
	p.state.Address, p.state.Error = "", text
	return fresh
}

func (p *peer) up(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Address != address {
		p.state.Since = p.importer.opt.Now()
	}
	p.state.Address, p.state.Error = address, ""
}

// watch has what a control plane offers, until it ends.
func (p *peer) watch(ctx context.Context, address string) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(p.importer.opt.Keyring.ControlTLS(p.td))), grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(), grpc.WithDisableRetry(), grpc.WithKeepaliveParams(alive), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxOffer)))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := meshpb.NewPeeringClient(conn).Watch(ctx, &meshpb.WatchRequest{Control: p.importer.opt.Process})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		o, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := p.take(o); err != nil {
			return err
		}
		p.up(address)
		if s := p.current(); first {
			p.importer.opt.Log.Info("services of another mesh are used", "peer", p.name, "trust-domain", p.td.Name(), "address", address, "services", s.Services, "edges", s.Edges)
		}
	}
}

// take has an offer hold, and keeps it.
func (p *peer) take(o *meshpb.Offer) error {
	read, err := readOffer(p.td, o)
	if err != nil {
		return fmt.Errorf("what the control plane offers cannot be used: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return errForgotten
	}
	p.offer = read
	p.put()
	if err := keep(p.file(), o); err != nil {
		p.importer.opt.Log.Warn("what another mesh offers cannot be kept: a process that starts anew has to ask for it", "peer", p.name, "error", err)
	}
	return nil
}

func keep(path string, o *meshpb.Offer) error {
	text, err := proto.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".offer.")
	if err != nil {
		return err
	}
	_, err = t.Write(text)
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(t.Name()))
	}
	return nil
}
