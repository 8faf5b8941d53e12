package datagram

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit/peer"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// session is one client and its endpoint.
type session struct {
	l        *Listener
	snap     *snapshot.Listener // when it began
	route    *snapshot.Stream
	who      client
	place    peer.Place
	start    time.Time
	began    int64
	backend  *snapshot.Backend
	endpoint *upstream.Endpoint
	up       *netx.Datagrams

	last    atomic.Int64 // when a datagram was passed on
	heard   atomic.Int64 // when the endpoint has answered, or the session began
	idle    atomic.Int64 // how long it may be silent
	in, out atomic.Int64 // bytes
	// datagrams are those from the client, and to it; first is when the endpoint has answered.
	datagrams [2]atomic.Int64
	first     atomic.Int64
	edges     [2]signal.Key // of the service graph

	owed   atomic.Bool // the client was the last to say something
	ended  atomic.Bool
	judged atomic.Bool
}

// begin makes a session, or says why it cannot.
func (l *Listener) begin(t *loop.Task, snap *snapshot.Listener, route *snapshot.Stream, who client, place peer.Place) (*session, filter.Reason) {
	s := &session{l: l, snap: snap, place: place, route: route, who: who, start: time.Now(), began: netx.Monotonic(), backend: route.Choose()}
	if s.backend == nil || s.backend.Cluster == nil {
		return nil, filter.BackendInvalid
	}
	c := s.backend.Cluster
	if err := c.Begin(s.began); err != nil {
		if errors.Is(err, upstream.ErrBreakerOpen) {
			return nil, filter.BreakerOpen
		}
		return nil, filter.Overload
	}
	q := upstream.Query{Now: s.began, Avoid: l.refusals.avoided(s.began)}
	q.Hash, q.HasHash = c.HashOfClient(who.remote.Addr())
	e, err := c.Pick(&q)
	if err != nil {
		c.End()
		return nil, filter.NoHealthyEndpoint
	}
	to, err := netip.ParseAddrPort(e.Address())
	if err == nil {
		s.up, err = netx.DialDatagrams(l.opts.Loops, nil, to)
	}
	if err != nil {
		l.refusals.note(e)
		c.Done(e, upstream.Outcome{Kind: upstream.ConnectFailure, Started: s.began})
		c.End()
		l.opts.Log.Debug("no socket for a session", "route", route.IR.ID, "endpoint", e.Address(), "error", err)
		return nil, filter.UpstreamConnectFailure
	}
	s.endpoint = e
	s.last.Store(s.began)
	s.heard.Store(s.began)
	s.idle.Store(int64(route.IR.Idle))
	s.signalOpened() // before anybody can end it
	if !l.enter(s) {
		s.signalNone()
		s.up.Close()
		c.Release(e)
		c.End()
		return nil, filter.Draining
	}
	route.Metrics.Opened()
	snap.Metrics.Accepted()
	s.up.SetHandlerBy(s.deadline())
	s.up.Start(s)
	return s, filter.ReasonNone
}

// outlived tells whether the client is better served by another endpoint: this
// one is removed or found unhealthy, and is silent. While it answers it keeps
// its sessions, as it does streams.
func (s *session) outlived() bool {
	return s.endpoint.Outlived() && netx.Monotonic()-s.heard.Load() >= int64(silentAfter)
}

// deadline is when the session has been silent for too long, or has lasted too long.
func (s *session) deadline() int64 {
	by := s.last.Load() + s.idle.Load()
	if most := s.route.IR.MaxStream; most > 0 {
		by = min(by, s.began+int64(most))
	}
	return by
}

// hurry shortens the time that the session may be silent.
func (s *session) hurry(quiet time.Duration) {
	if s.owed.Load() {
		quiet = max(quiet, answerGrace)
	} else {
		quiet = min(quiet, answerGrace)
	}
	if int64(quiet) < s.idle.Load() {
		s.idle.Store(int64(quiet))
		s.up.SetHandlerBy(max(s.deadline(), 1))
	}
}

// forward passes on what the client has sent. What the socket does not take is
// lost, as it would be on any link that is full.
func (s *session) forward(b *netx.Batch, packets []netx.Packet) {
	s.owed.Store(true)
	total, sent := len(packets), 0
	for len(packets) > 0 {
		n, err := s.up.Send(b, packets)
		if err != nil {
			if netx.IsRefused(err) {
				s.fail()
			}
			break
		}
		for _, p := range packets[:n] {
			s.in.Add(int64(len(p.Data)))
		}
		sent, packets = sent+n, packets[n:]
	}
	s.last.Store(netx.Monotonic())
	s.datagrams[0].Add(int64(sent))
	s.route.Metrics.Datagrams(sent, 0)
	if sent < total {
		s.route.Metrics.Dropped(total - sent)
	}
}

// Resume passes on what the endpoint has answered: the handler of its socket.
func (s *session) Resume(t *loop.Task) (idle bool) {
	s.up.BindRead(t)
	b := netx.GetBatch()
	defer b.Release()
	for !s.ended.Load() {
		n, err := s.up.Receive(b)
		switch {
		case netx.IsTimeout(err):
			if now := netx.Monotonic(); now < s.deadline() {
				s.up.SetHandlerBy(s.deadline())
				continue
			}
			s.expire()
		case netx.IsRefused(err):
			s.fail()
		case errors.Is(err, net.ErrClosed):
			return false
		case err != nil:
			s.l.opts.Log.Debug("receiving failed", "route", s.route.IR.ID, "endpoint", s.endpoint.Address(), "error", err)
		case n == 0:
			return true
		default:
			s.answer(b, b.Packets[:n])
		}
	}
	return false
}

// answer passes datagrams on to the client, from the address that it knows.
func (s *session) answer(b *netx.Batch, packets []netx.Packet) {
	if s.judge(upstream.OK) {
		s.l.refusals.forget(s.endpoint)
	}
	now := netx.Monotonic()
	s.heard.Store(now)
	s.first.CompareAndSwap(0, now)
	s.owed.Store(false)
	for i := range packets {
		packets[i].Remote, packets[i].Local = s.who.remote, s.who.local
	}
	total, sent := len(packets), 0
	for len(packets) > 0 {
		n, err := s.l.socket.Send(b, packets)
		if err != nil {
			break
		}
		for _, p := range packets[:n] {
			s.out.Add(int64(len(p.Data)))
		}
		sent, packets = sent+n, packets[n:]
	}
	s.last.Store(netx.Monotonic())
	s.datagrams[1].Add(int64(sent))
	s.route.Metrics.Datagrams(0, sent)
	if sent < total {
		s.route.Metrics.Dropped(total - sent)
	}
}

// judge tells the cluster how the endpoint did, once.
func (s *session) judge(kind upstream.OutcomeKind) (first bool) {
	if first = s.judged.CompareAndSwap(false, true); first {
		s.backend.Cluster.Observe(s.endpoint, upstream.Outcome{Kind: kind, Latency: time.Duration(netx.Monotonic() - s.began), Started: s.began})
	}
	return first
}

// fail ends a session whose endpoint has nobody who listens (ICMP port
// unreachable), so that the client's next datagram gets another one.
func (s *session) fail() {
	s.judged.Store(true)
	s.l.refusals.note(s.endpoint)
	s.backend.Cluster.Observe(s.endpoint, upstream.Outcome{Kind: upstream.ConnectFailure, Started: s.began})
	s.end(filter.UpstreamConnectFailure.Flag())
}

// expire ends a session in the ordinary way, which for UDP is silence.
func (s *session) expire() {
	if most := s.route.IR.MaxStream; most > 0 && netx.Monotonic() >= s.began+int64(most) {
		s.end(filter.StreamTimeout.Flag())
		return
	}
	s.end(0)
}

// end ends the session, once.
func (s *session) end(flags filter.Flags) {
	if !s.ended.CompareAndSwap(false, true) {
		return
	}
	s.place.Leave()
	s.judge(upstream.Cancelled)
	s.up.Close()
	c := s.backend.Cluster
	c.Release(s.endpoint)
	c.End()
	d := time.Duration(netx.Monotonic() - s.began)
	in, out := s.in.Load(), s.out.Load()
	s.route.Metrics.Ended(d, in, out, uint64(flags), flags&^filter.Draining.Flag() != 0)
	s.snap.Metrics.Closed()
	s.signalEnded(flags)
	s.l.log(&accesslog.Entry{
		Start: s.start, Duration: d, RequestBytes: in, ResponseBytes: out, Attempts: 1,
		Endpoint: s.endpoint.Address(), Cluster: s.backend.IR.Cluster,
	}, s.snap, s.route, s.who, flags)
	s.l.remove(s)
}

// refuse counts, and from time to time logs, a client that got no session.
func (l *Listener) refuse(snap *snapshot.Listener, route *snapshot.Stream, who client, why filter.Reason, policy, part string) {
	route.Metrics.Opened()
	route.Metrics.Ended(0, 0, 0, uint64(why.Flag()), true)
	l.signalRefused(snap, route, policy)
	now := netx.Monotonic()
	if last := l.refused.Load(); last != 0 && now-last < int64(time.Second) || !l.refused.CompareAndSwap(last, now) {
		return
	}
	l.log(&accesslog.Entry{Start: time.Now(), Reason: why.String(), Policy: policy, PolicyRule: part}, snap, route, who, why.Flag())
}

func (l *Listener) log(e *accesslog.Entry, snap *snapshot.Listener, route *snapshot.Stream, who client, flags filter.Flags) {
	policy := l.opts.Outlets.Of(route.IR.Telemetry)
	logs := policy == nil && l.opts.AccessLog != nil || policy != nil && policy.Wants(0)
	looked := l.opts.Taps.On()
	if !logs && !looked && l.opts.Records == nil {
		return
	}
	var scratch [64]byte
	e.Stream, e.Protocol, e.Listener, e.Route, e.Rule = true, "UDP", snap.IR.Name, route.IR.Name, route.IR.ID
	e.Client, e.Revision = who.remote.Addr(), snap.Revision
	if flags != 0 {
		e.Flags = flags.AppendTo(scratch[:0])
	}
	l.opts.Outlets.MaskOf(policy).Apply(e)
	if l.opts.Records != nil {
		l.record(e, snap, route, flags)
	}
	if looked {
		seen := tap.Seen{Entry: e, Direction: tap.Edge, Failed: flags&^filter.Draining.Flag() != 0}
		if _, rest, found := strings.Cut(e.Cluster, "/"); found { // KIND/NAMESPACE/NAME, with a port
			seen.Namespace, seen.Service, _ = strings.Cut(rest, "/")
			seen.Service, _, _ = strings.Cut(seen.Service, ":")
		}
		l.opts.Taps.Offer(&seen)
	}
	switch {
	case !logs:
	case policy != nil:
		policy.Log(e)
	default:
		l.opts.AccessLog.Log(e)
	}
}
