package distrib

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Applier is the data plane that a Client feeds. Its methods are called one after the
// other.
type Applier interface {
	// Apply makes a configuration run, or leaves the one before running and says
	// why. ResourceErrors in the error tell which items are to blame.
	Apply(*ir.Config) error
	// Endpoints replaces those of a cluster. One that is not configured is ignored.
	Endpoints(ir.EndpointUpdate)
	// Trust is what keyrings are to know.
	Trust(bundles, denied []byte)
}

// ClientConfig is how a Client is made.
type ClientConfig struct {
	// Proxy is who it is; its Identity is not looked at. Its Services are never
	// forgotten.
	Proxy Proxy
	// Targets are control planes, "host:port". They are tried in an order of chance,
	// or as given if InOrder.
	Targets []string
	InOrder bool
	// Credentials are how they are spoken to.
	Credentials credentials.TransportCredentials
	Applier     Applier
	// CacheFile is where the last good configuration is kept, in a folder that
	// nobody else writes to; empty keeps none.
	CacheFile string
	// Forget is how long a service that was learned is kept without being used; 0 is
	// 30 minutes.
	Forget time.Duration
	// Patience is how long what seems older than what is served is not applied while a
	// control plane goes on wanting it; 0 is 15 seconds.
	Patience time.Duration
	Log      *slog.Logger
	// Beside is called with each connection to a control plane, beside the stream and on a
	// goroutine of its own, and is to return soon after its context ends: nil is nothing.
	Beside func(ctx context.Context, conn grpc.ClientConnInterface)
	// Withheld is called with the services of which the proxy wants workloads and may have
	// none, whenever the control plane says so; it is to return soon. Nil is nobody.
	Withheld func([]Withheld)
	// Dial is another way to a target than TCP with Credentials, with ClientOptions.
	Dial func(target string) (*grpc.ClientConn, error)
}

// Bounds of how a Client waits.
const (
	fastRetry    = 100 * time.Millisecond
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// steady is how long a stream lasts before the waits begin anew.
	steady         = 3 * time.Second
	welcomeTimeout = 10 * time.Second
	// MaxViewBytes bounds what a proxy holds of its view, in bytes of bodies.
	MaxViewBytes = 256 << 20
	// maxHistory is how many views are remembered to have been served.
	maxHistory = 64
	// maxResends is how often in a row what came wrong is asked for again.
	maxResends = 3
)

// Client gets a proxy its configuration. It goes on with the last good one when no
// control plane answers, also over a restart.
type Client struct {
	cfg   ClientConfig
	ready chan struct{} // closed when something is served

	mu sync.Mutex // guards what follows
	// proxy is what is said at the next Hello; its Services are those of uses.
	proxy    Proxy
	uses     map[string]*use
	sequence uint64
	todo     outgoing
	wake     chan struct{}
	state    ClientStatus

	// What follows belongs to the goroutine of Run.
	held     map[Key]*holding
	order    []Key // those of held, as in views; nil where it is not known
	bytes    int
	decoder  Decoder
	serving  Revision
	served   bool
	history  []uint64
	target   int
	attempts int

	cache *cache
	// unsaved: a save has failed, of which the log has said so.
	unsaved bool
	// fits: what is held is what is served.
	fits bool
	// lacks are the parts of what is served that could not be put in service; see
	// PartialError.
	lacks []Refusal
}

// holding is a resource that the proxy has.
type holding struct {
	hash uint64
	size int
	// body is nil once it is served and, if there is a cache, on disk.
	body []byte
	// endpoints are those of a cluster.
	endpoints []ir.Endpoint
}

// ClientStatus is how the proxy gets its configuration.
type ClientStatus struct {
	// Target is the control plane that it is connected to, empty if none is; Control
	// is what that calls itself.
	Target  string `json:"target,omitempty"`
	Control string `json:"control,omitempty"`
	// Since is when that began, or when the last stream ended.
	Since   time.Time `json:"since"`
	Serving Revision  `json:"serving"`
	// Heard is when something came from a control plane last, zero if nothing has.
	Heard time.Time `json:"heard,omitzero"`
	// FromDisk: what is served is from before the process began.
	FromDisk bool      `json:"fromDisk,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
	// Problem is why there is no connection.
	Problem string `json:"problem,omitempty"`
	// Services are those that the proxy uses.
	Services []string `json:"services,omitempty"`
	// Withheld is what the control plane said last that the proxy may not have.
	Withheld []Withheld `json:"withheld,omitempty"`
}

// NewClient makes a Client, which does nothing before Run.
func NewClient(cfg ClientConfig) (*Client, error) {
	switch {
	case len(cfg.Targets) == 0:
		return nil, errors.New("distrib: a client needs the address of a control plane")
	case cfg.Applier == nil:
		return nil, errors.New("distrib: a client needs an Applier")
	case cfg.Credentials == nil && cfg.Dial == nil:
		return nil, errors.New("distrib: a client needs credentials: configuration has secrets, and goes through mutual TLS only")
	}
	if cfg.Forget == 0 {
		cfg.Forget = 30 * time.Minute
	}
	if cfg.Patience == 0 {
		cfg.Patience = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Targets = slices.Clone(cfg.Targets)
	if !cfg.InOrder {
		rand.Shuffle(len(cfg.Targets), func(i, j int) { cfg.Targets[i], cfg.Targets[j] = cfg.Targets[j], cfg.Targets[i] })
	}
	c := &Client{
		cfg: cfg, ready: make(chan struct{}), proxy: cfg.Proxy, uses: map[string]*use{}, wake: make(chan struct{}, 1),
		held: map[Key]*holding{}, state: ClientStatus{Since: time.Now()},
	}
	for _, name := range cfg.Proxy.Services {
		c.uses[name] = &use{always: true, answered: make(chan struct{})}
	}
	if _, err := proxyOf(helloOf(&cfg.Proxy, Revision{})); err != nil {
		return nil, fmt.Errorf("distrib: %w", err)
	}
	return c, nil
}

// Ready is closed when a configuration is served, of a control plane or from disk.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// Status says how the proxy gets its configuration.
func (c *Client) Status() ClientStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.state
	st.Services = slices.Sorted(maps.Keys(c.uses))
	return st
}

// Run serves what is on disk, and then what control planes send, until the context
// ends.
func (c *Client) Run(ctx context.Context) error {
	c.start()
	var work sync.WaitGroup
	work.Go(func() { c.forgetUnused(ctx) })
	defer work.Wait()
	defer c.stop()
	for ctx.Err() == nil {
		target := c.cfg.Targets[c.target%len(c.cfg.Targets)]
		began := time.Now()
		good, err := c.connect(ctx, target)
		if ctx.Err() != nil {
			break
		}
		c.target++
		var moved *movedError
		wait := time.Duration(0)
		switch {
		case errors.As(err, &moved):
			c.attempts = 0
			c.cfg.Log.Info("going to another control plane", "from", target, "reason", moved.reason)
		default:
			// Two processes of one name would otherwise throw each other out as
			// fast as they can.
			if good && time.Since(began) > steady {
				c.attempts = 0
			}
			wait = c.backoff()
			c.attempts++
			c.cfg.Log.Warn("no control plane: what is served goes on", "target", target, "error", meshpb.Reason(err), "again", wait)
		}
		c.mu.Lock()
		c.state.Target, c.state.Control, c.state.Since = "", "", time.Now()
		if err != nil {
			c.state.Problem = meshpb.Reason(err)
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return context.Cause(ctx)
}

// backoff is the wait before the next try: short at first, so that a control plane
// that went away is replaced at once by another, then longer with each round.
func (c *Client) backoff() time.Duration {
	rounds := c.attempts / len(c.cfg.Targets)
	if c.attempts == 0 || rounds == 0 {
		return rand.N(fastRetry)
	}
	wait := maxBackoff
	if rounds < 8 {
		wait = min(maxBackoff, firstBackoff<<(rounds-1))
	}
	return wait/2 + rand.N(wait/2)
}

// start serves what is on disk.
func (c *Client) start() {
	if c.cfg.CacheFile == "" {
		return
	}
	var had *cached
	var err error
	if c.cache, had, err = openCache(c.cfg.CacheFile, c.cfg.Log); err != nil {
		c.cfg.Log.Warn("the configuration cannot be kept on disk: a restart needs a control plane", "file", c.cfg.CacheFile, "error", err)
		return
	}
	if had.commit == nil {
		return
	}
	for _, r := range had.resources {
		h := &holding{hash: r.Hash, size: len(r.Body), body: r.Body}
		if r.Kind == KindEndpoints {
			h.endpoints, _ = DecodeEndpoints(r.Body) // Join says what is wrong
		}
		c.held[r.Key()] = h
		c.bytes += h.size
	}
	revision := revisionOf(had.commit.GetRevision())
	if err := c.apply(revision); err != nil {
		c.cfg.Log.Warn("the configuration that was kept on disk cannot be served, and is fetched anew", "file", c.cfg.CacheFile, "error", err)
		c.held, c.bytes = map[Key]*holding{}, 0
		return
	}
	c.history = had.commit.GetHistory()
	c.forgetBodies()
	c.cfg.Log.Info("serving the configuration that was kept on disk", "file", c.cfg.CacheFile, "revision", revision.String())
	c.mu.Lock()
	c.state.FromDisk = true
	now := time.Now()
	for _, s := range had.commit.GetServices() {
		u := c.uses[s.GetName()]
		if u == nil && !s.GetAlways() && validServices([]string{s.GetName()}) == nil && len(c.uses) < maxServices {
			u = &use{answered: make(chan struct{})}
			u.used.Store(now.Unix())
			c.uses[s.GetName()] = u
		}
		if u != nil { // what is served was made for it
			u.done = true
			close(u.answered)
		}
	}
	c.mu.Unlock()
	c.tell()
}

// apply makes what is held run.
func (c *Client) apply(r Revision) error {
	config, err := c.decoder.Join(func(yield func(*Resource) bool) {
		for k, h := range c.held {
			if !yield(&Resource{Kind: k.Kind, Name: k.Name, Hash: h.hash, Body: h.body}) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	config.Revision = r.Number
	var lacks []Refusal
	if err := c.cfg.Applier.Apply(config); err != nil {
		// At a start nothing is better than a part, as nobody has relied on it yet.
		if !c.served || !isPartial(err) {
			return err
		}
		lacks = refusalList(err)
		if !slices.Equal(lacks, c.lacks) {
			c.cfg.Log.Error("a part of a revision cannot be served, and is tried again; the rest serves", "revision", r.String(), "error", err)
		}
	}
	if c.served && c.serving.Hash != r.Hash {
		c.history = append(c.history, c.serving.Hash)
		c.history = c.history[max(0, len(c.history)-maxHistory):]
	}
	c.lacks = lacks
	c.adopt(r)
	c.fits = true
	c.served = true
	return nil
}

// tell lets who waits for a first configuration go on.
func (c *Client) tell() {
	if !isClosed(c.ready) {
		close(c.ready)
	}
}

// adopt notes which revision is served.
func (c *Client) adopt(r Revision) {
	c.serving = r
	c.mu.Lock()
	c.state.Serving, c.state.FromDisk, c.state.Refusals = r, false, c.lacks
	c.mu.Unlock()
}

// save keeps what is held, and served, on disk, and then forgets bodies.
func (c *Client) save() {
	if !c.fits {
		return
	}
	if c.cache == nil {
		c.forgetBodies()
		return
	}
	commit := &meshpb.CacheCommit{Revision: c.serving.message(), History: c.history}
	c.mu.Lock()
	for name, u := range c.uses {
		if u.done {
			commit.Services = append(commit.Services, &meshpb.CacheService{Name: name, Used: u.used.Load(), Always: u.always})
		}
	}
	c.mu.Unlock()
	var upserts []*Resource
	for k, h := range c.held {
		if l, ok := c.cache.index[k]; !ok || l.hash != h.hash {
			upserts = append(upserts, &Resource{Kind: k.Kind, Name: k.Name, Hash: h.hash, Body: h.body})
		}
	}
	slices.SortFunc(upserts, Compare)
	var removals []Key
	for k := range c.cache.index {
		if c.held[k] == nil {
			removals = append(removals, k)
		}
	}
	slices.SortFunc(removals, compareKeys)
	if err := c.cache.commit(upserts, removals, commit); err != nil {
		if !c.unsaved {
			c.cfg.Log.Error("the configuration cannot be written to disk: after a restart the one before is served until a control plane answers", "file", c.cfg.CacheFile, "error", err)
		}
		c.unsaved = true
		return
	}
	if c.unsaved {
		c.cfg.Log.Info("the configuration is written to disk again", "file", c.cfg.CacheFile)
	}
	c.unsaved = false
	c.forgetBodies()
}

func (c *Client) forgetBodies() {
	for _, h := range c.held {
		h.body = nil
	}
}

// stop ends what Run has begun.
func (c *Client) stop() {
	if c.cache != nil {
		c.cache.close()
		c.cache = nil
	}
}

// dialer opens the connection to a target.
func (c *Client) dialer(target string) (*grpc.ClientConn, error) {
	if c.cfg.Dial != nil {
		return c.cfg.Dial(target)
	}
	return grpc.NewClient("passthrough:///"+target, append(ClientOptions(), grpc.WithTransportCredentials(c.cfg.Credentials))...)
}

// ClientOptions are those of a Client's connections, but for credentials.
func ClientOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		// Windows that do not grow: what a busy proxy has not read waits at the
		// control plane, where newer states take the place of older ones.
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(streamWindow),
		grpc.WithReadBufferSize(16 << 10), grpc.WithWriteBufferSize(4 << 10),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
	}
}
