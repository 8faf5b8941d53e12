package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/question"
)

const (
	// maxPeers is how many control planes are reached.
	maxPeers = 64
	// dialWithin bounds a try to connect; what is asked then fails at once.
	dialWithin = 2 * time.Second
	// unused is how long a connection without a call is kept.
	unused = time.Minute
	// maxPart bounds one message of a relay.
	maxPart = 16 << 20
)

// alive has a control plane that is gone without a word be noticed. Servers allow it
// every ten seconds.
var alive = keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 5 * time.Second}

// DialerOptions are for NewDialer.
type DialerOptions struct {
	// TLS shows that we are a control plane, and verifies that the peer is one of ours.
	TLS *tls.Config
	// Peers are the others that there are now.
	Peers func() []Peer
}

// Dialer has connections to other control planes, one each, for as long as they are there.
// They are opened when they are needed and closed when they are not. Any goroutine may use
// it.
type Dialer struct {
	opt DialerOptions

	mu     sync.Mutex
	conns  map[string]*connection // guarded by mu, by ID
	closed bool                   // guarded by mu
}

type connection struct {
	address string
	conn    *grpc.ClientConn
}

// NewDialer makes a Dialer. Nothing is connected before it is needed.
func NewDialer(o DialerOptions) *Dialer { return &Dialer{opt: o, conns: map[string]*connection{}} }

// Peers are the others that there are now.
func (d *Dialer) Peers() []Peer { return d.opt.Peers() }

var errClosed = errors.New("this control plane ends")

// Ask relays a question to a peer; see question.Relay. The error is for people.
func (d *Dialer) Ask(ctx context.Context, p Peer, q question.Ask) error {
	conn, err := d.conn(p)
	if err != nil {
		return err
	}
	var taken error
	take := q.Take
	q.Take = func(part *question.Part) error {
		taken = take(part)
		return taken
	}
	err = question.Relay(ctx, conn, p.ID, q)
	if err != nil && taken == nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %s", p.Address, status.Convert(err).Message())
	}
	return err
}

// conn is the connection to a peer. Those to peers that are gone are closed.
func (d *Dialer) conn(p Peer) (*grpc.ClientConn, error) {
	if p.Address == "" {
		return nil, errors.New("it has not said yet where it is reached")
	}
	if err := CheckAddress(p.Address); err != nil {
		return nil, err
	}
	there := map[string]bool{p.ID: true}
	for _, other := range d.opt.Peers() {
		there[other.ID] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed
	}
	for id, c := range d.conns {
		if !there[id] || id == p.ID && c.address != p.Address {
			_ = c.conn.Close() // which ends what is asked over it
			delete(d.conns, id)
		}
	}
	if c := d.conns[p.ID]; c != nil {
		return c.conn, nil
	}
	if len(d.conns) >= maxPeers {
		return nil, fmt.Errorf("there are more than %d control planes", maxPeers)
	}
	conn, err := grpc.NewClient("passthrough:///"+p.Address, grpc.WithTransportCredentials(credentials.NewTLS(d.opt.TLS)), grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(), grpc.WithDisableRetry(), grpc.WithKeepaliveParams(alive), grpc.WithIdleTimeout(unused),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dialWithin, Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxPart)))
	if err != nil {
		return nil, err
	}
	d.conns[p.ID] = &connection{address: p.Address, conn: conn}
	return conn, nil
}

// Close ends all connections, and what is asked over them.
func (d *Dialer) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, c := range d.conns {
		_ = c.conn.Close()
	}
	clear(d.conns)
}
