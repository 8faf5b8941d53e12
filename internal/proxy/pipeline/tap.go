package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// tap shows the exchange to those who look.
func (x *Exchange) tap(e *accesslog.Entry, opened bool) {
	x.offer(tap.Seen{Entry: e, Opened: opened, Told: x.told, RequestHeader: &x.Req.Header})
}

// tapBegun shows an exchange that is about to be sent to those who ask for it, once.
func (x *Exchange) tapBegun() {
	if x.told || !x.p.Taps.Opening() {
		return
	}
	x.offer(tap.Seen{Entry: x.describe(time.Duration(x.clock - x.started)), Opened: true, Begun: true, RequestHeader: &x.Req.Header})
	x.told = true
}

func (x *Exchange) offer(s tap.Seen) {
	opened := s.Opened
	if x.owned || x.headAt == 0 { // else its memory may be another response's by now
		s.ResponseHeader = &x.Resp.Header
	}
	s.Place(x.Section, x.Listener.IR)
	s.Mask = x.mask()
	if x.backend != nil {
		s.Backend(x.backend.IR.Ref)
		if c := x.backend.Cluster; c != nil {
			s.Source = c.Config().Identity
		}
	}
	if x.Rule != nil {
		s.Credentials = x.Rule.Policy.Authentication
	} else if x.p.AnyCredentials != nil {
		s.Credentials = x.p.AnyCredentials()
	}
	if status := x.metricStatus(); !opened {
		s.Failed = status >= 500 || status == 0 && !x.Flags.Has(filter.ClientGone)
	}
	if x.came.Kept() {
		s.Head = &x.came
		if x.attempts > 0 {
			s.Sent = tap.Sent{Host: x.Req.Host, Path: x.Req.Path, Query: x.Req.Query}
		}
		s.Claims = x.Caller.Claims.Values()
	}
	x.p.Taps.Offer(&s)
}

// tapOpened shows an exchange that may go on for long, once.
func (x *Exchange) tapOpened() {
	if x.shown || !x.goesOn() {
		return
	}
	x.shown = true
	x.tap(x.describe(time.Duration(x.tick()-x.started)), true)
}

// goesOn tells whether the exchange is one that has been answered and stays: another
// protocol, server-sent events, a call of gRPC whose client has more to say, or whose
// server has said more than one thing.
func (x *Exchange) goesOn() bool {
	if x.ws.opened || x.status == 101 {
		return true
	}
	if x.headAt == 0 {
		return false
	}
	return x.call.on && (x.answering.Load() || x.call.frames.Several()) || x.isEventStream()
}
