package pipeline

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// mirrorQueue bounds what waits for a slow mirror; over it the copy is dropped.
	mirrorQueue   = 1 << 20
	mirrorTimeout = 15 * time.Second
	// maxMirrors bounds the copies in flight to one cluster, so that one that
	// hangs leaves the others theirs; maxAllMirrors those of the whole proxy,
	// and maxMirrorBytes what of their bodies is kept.
	maxMirrors     = 1024
	maxAllMirrors  = 4096
	maxMirrorBytes = 256 << 20
)

// mirrors are the copies of one exchange's request that are being sent.
type mirrors struct{ active []*mirror }

// mirror sends one copy on a goroutine that the Mirroring group waits for. The
// answer is read and forgotten.
type mirror struct {
	cluster *upstream.Cluster
	metrics *metric.Cluster
	p       *Pipeline
	all     *Mirroring
	req     httpmsg.Request
	trace   copyTrace
	// untold: endpoints outside of the mesh are not told who calls.
	untold bool

	mu      sync.Mutex
	changed sync.Cond
	queue   []byte // guarded by mu
	held    int64  // guarded by mu; bytes of all.bytes in the queue
	sending int64  // guarded by mu; and those that are being sent
	ended   bool
	dropped bool
	why     metric.MirrorResult // of dropped
}

// Mirroring counts and awaits the copies in flight. Its zero value is ready.
type Mirroring struct {
	mu      sync.Mutex
	active  int                          // guarded by mu
	each    map[*upstream.Cluster]int    // guarded by mu
	bytes   atomic.Int64                 // of bodies that are kept
	stopped bool                         // guarded by mu
	streams map[upstream.Stream]struct{} // guarded by mu
	wg      sync.WaitGroup
}

// Stop gives copies a moment to end, then cuts them off, and returns when none
// is left.
func (m *Mirroring) Stop(grace time.Duration) {
	cut := time.AfterFunc(grace, m.cut)
	m.wg.Wait()
	cut.Stop()
}

func (m *Mirroring) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	for s := range m.streams {
		s.Cut()
	}
}

// use notes the connection of a copy, so that it can be cut off.
func (m *Mirroring) use(s upstream.Stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams == nil {
		m.streams = map[upstream.Stream]struct{}{}
	}
	m.streams[s] = struct{}{}
	return !m.stopped
}

func (m *Mirroring) forget(s upstream.Stream) {
	m.mu.Lock()
	delete(m.streams, s)
	m.mu.Unlock()
}

func (m *Mirroring) enter(c *upstream.Cluster) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active >= maxAllMirrors || m.each[c] >= maxMirrors || m.stopped {
		return false
	}
	if m.each == nil {
		m.each = map[*upstream.Cluster]int{}
	}
	m.each[c]++
	m.active++
	m.wg.Add(1)
	return true
}

func (m *Mirroring) leave(c *upstream.Cluster) {
	m.mu.Lock()
	m.active--
	if m.each[c]--; m.each[c] == 0 {
		delete(m.each, c)
	}
	m.mu.Unlock()
	m.wg.Done()
}

// startMirrors begins the copies that the rule asks for. They get the request
// as it will be sent to the backend. Of a request for another protocol there is
// no copy: nobody would speak it.
func (x *Exchange) startMirrors() {
	if x.Req.Upgrade != nil {
		return
	}
	for i := range x.rule.Mirrors {
		x.startMirror(&x.rule.Mirrors[i], i+1)
	}
	for i := range x.backend.Mirrors {
		x.startMirror(&x.backend.Mirrors[i], len(x.rule.Mirrors)+i+1)
	}
}

func (x *Exchange) startMirror(m *snapshot.Mirror, number int) {
	if m.Cluster == nil || !sampled(m.IR) {
		return
	}
	if !x.p.Mirrors.enter(m.Cluster) {
		m.Metrics.Mirrored(metric.MirrorTooMany, 0)
		return
	}
	copied := &mirror{cluster: m.Cluster, metrics: m.Metrics, p: x.p, all: &x.p.Mirrors}
	copied.changed.L = &copied.mu
	if x.p.Vouch != nil {
		x.sign()
		copied.untold = true
	}
	copied.req.CopyFrom(&x.Req)
	if x.vouch.token != nil {
		copied.req.Header.Set(vouch.Header, bytes.Clone(x.vouch.token))
	}
	copied.req.Header.Del(httpmsg.NameExpect)
	if host := m.Cluster.Config().Host; host != "" {
		copied.req.SetHost([]byte(host))
	}
	x.traceCopy(copied, number)
	if x.body.whole {
		copied.add(x.body.first)
		copied.ended = true
	} else {
		copied.add(x.body.kept) // what was read ahead
		x.mirrors.active = append(x.mirrors.active, copied)
	}
	go func() { // the exchange may be over before the copy begins
		defer copied.all.leave(copied.cluster)
		defer copied.forget()
		copied.run()
	}()
	x.Down.Task().Share()
}

func sampled(m *ir.Mirror) bool {
	return m.Numerator >= m.Denominator || rand.IntN(m.Denominator) < m.Numerator
}

// add keeps a piece of the body, unless that would be too much for all copies
// together. It is called with mu held, or before the copy is shared.
func (c *mirror) add(piece []byte) {
	if c.dropped || len(piece) == 0 {
		return
	}
	if c.all.bytes.Add(int64(len(piece))) > maxMirrorBytes {
		c.all.bytes.Add(-int64(len(piece)))
		c.drop(metric.MirrorTooMany)
		return
	}
	c.queue = append(c.queue, piece...)
	c.held += int64(len(piece))
}

// drop gives the rest of the body up. It is called like add.
func (c *mirror) drop(why metric.MirrorResult) {
	if !c.dropped {
		c.dropped, c.why = true, why
	}
}

// forget gives back what is kept of the body.
func (c *mirror) forget() {
	c.mu.Lock()
	c.all.bytes.Add(-c.held - c.sending)
	c.held, c.sending, c.queue, c.dropped = 0, 0, nil, true
	c.mu.Unlock()
}

// feed gives a piece of the body to the copies.
func (m *mirrors) feed(piece []byte, end bool) {
	for _, c := range m.active {
		c.mu.Lock()
		if len(c.queue)+len(piece) > mirrorQueue {
			c.drop(metric.MirrorTooSlow)
		}
		c.add(piece)
		c.ended = c.ended || end
		c.changed.Signal()
		c.mu.Unlock()
	}
}

// close ends copies whose body will not come to its end.
func (m *mirrors) close() {
	for i, c := range m.active {
		c.mu.Lock()
		if !c.ended {
			c.drop(metric.MirrorCutShort)
			c.changed.Signal()
		}
		c.mu.Unlock()
		m.active[i] = nil
	}
	m.active = m.active[:0]
}

// take returns what has been queued, waiting for more if there is nothing. The error is
// that a part is missing: a copy with a hole must not look whole.
func (c *mirror) take() (piece []byte, end bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.ended && !c.dropped {
		c.changed.Wait()
	}
	c.all.bytes.Add(-c.sending) // that is over
	c.sending, c.held = c.held, 0
	piece, c.queue = c.queue, nil
	if c.dropped {
		return nil, false, &lostCopy{c.why}
	}
	return piece, c.ended, nil
}

func (c *mirror) run() {
	var resp httpmsg.Response
	if c.cluster.Begin(0) != nil {
		c.account(metric.MirrorRefused, &resp, nil)
		return
	}
	defer c.cluster.End()
	e, err := c.cluster.Pick(&upstream.Query{})
	if err != nil {
		c.account(metric.MirrorNoEndpoint, &resp, nil)
		return
	}
	c.tell(e)
	by := now() + int64(mirrorTimeout)
	var first http1.Stream
	s, _, err := e.Open(&upstream.Ask{By: by, Checked: true}, &first)
	if err != nil {
		c.cluster.Done(e, upstream.Outcome{Kind: connectFailure(err).kind})
		c.account(copyRefused(err), &resp, e)
		return
	}
	s.SetReadBy(by)
	s.SetWriteBy(by)
	var latency time.Duration
	if c.all.use(s) {
		latency, err = c.exchange(s, &resp)
	} else {
		err = io.ErrClosedPipe
	}
	c.all.forget(s)
	c.account(copyResult(err, &resp), &resp, e) // before others have the answer's memory
	e.Close(s, err == nil, now())
	kind := upstream.OK
	if err != nil {
		kind = upstream.Cancelled
	}
	c.cluster.Done(e, upstream.Outcome{Kind: kind, Status: resp.Status, Latency: latency})
}

// exchange sends the copy and reads the answer; latency runs from the end of
// the one to the head of the other.
func (c *mirror) exchange(s upstream.Stream, resp *httpmsg.Response) (latency time.Duration, err error) {
	piece, end, err := c.take()
	if err != nil {
		return 0, err
	}
	if err := s.Send(&c.req, piece, end); err != nil {
		return 0, err
	}
	for !end {
		if piece, end, err = c.take(); err != nil {
			return 0, err
		}
		if err := s.SendBody(piece, end, nil); err != nil {
			return 0, err
		}
	}
	sent := now()
	for resp.Status < 200 {
		if err := s.ReadHead(resp); err != nil {
			return 0, err
		}
	}
	latency = since(sent)
	resp.Own(&c.req.Arena) // reading on moves what it points to
	for {
		if _, err := s.ReadBody(); err == io.EOF {
			return latency, nil
		} else if err != nil {
			return latency, err
		}
	}
}
