package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// vouched is what an exchange has to do with tokens about callers.
type vouched struct {
	// token goes to endpoints of the mesh: the edge's own, the one that an application
	// passes on, or the one that was believed.
	token []byte
	// at is when the edge has signed it, 0 for one that has come with the request.
	at int64
	// refused: the edge cannot sign, and need not try again.
	refused bool
}

// believe finds out what an edge says of the caller. Only proxies of the mesh are
// listened to; whatever others send under the header's name goes.
func (x *Exchange) believe() {
	v := x.p.Vouch
	if v == nil {
		return
	}
	l := x.Listener.IR
	if l.Local {
		x.vouch.token = x.Req.Header.Get(vouch.Header) // an application's: the proxies that it asks will judge it
		return
	}
	count := x.Req.Header.Count(vouch.Header)
	token := x.Req.Header.Get(vouch.Header)
	x.Withhold(vouch.Header.Bytes())
	if count == 0 {
		return
	}
	fault := filter.FaultNoRule
	switch {
	case !l.Mesh || x.PeerIdentity == "":
		v.Refused(fault)
	case count > 1:
		fault = filter.FaultAmbiguous
		v.Refused(fault)
	default:
		var caller filter.Caller
		if caller, fault = v.Verify(token, x.PeerIdentity, x.RequestID, x.Start); fault == filter.FaultNone {
			x.Caller = caller
			x.Req.Header.AddID(vouch.Header, token) // for the application to pass on
			x.vouch.token = token
			return
		}
	}
	x.Faults = append(x.Faults, filter.Faulted{Method: vouch.Method, Fault: fault})
}

// sign makes the token of an edge, or makes it anew when the last try was long ago.
func (x *Exchange) sign() {
	o := x.Listener.IR.Vouching
	if o == nil || x.p.Vouch == nil || !x.Caller.Known() || x.vouch.refused {
		return
	}
	at := x.clock
	if x.vouch.token != nil && time.Duration(at-x.vouch.at) < o.Lifetime/2 {
		return
	}
	id := x.Req.Header.Get(httpmsg.NameXRequestID) // by which proxies of the mesh know it
	if !validRequestID(id) {
		id = nil
	}
	token, err := x.p.Vouch.Sign(&x.Caller, o, id, x.Start.Add(time.Duration(at-x.started)))
	if err != nil {
		x.vouch.token, x.vouch.refused = nil, true
		x.p.Log.Debug("proxies of the mesh are not told who calls", "route", x.Rule.ID, "error", err)
		return
	}
	x.vouch.token, x.vouch.at = token, at
}

// tell gives an endpoint the token if it is of the mesh, and others nothing of it.
func (x *Exchange) tell(e *upstream.Endpoint) {
	if x.p.Vouch == nil || x.Listener.IR.Mesh { // what leads to the application keeps what was believed
		return
	}
	if !e.InMesh() {
		x.Req.Header.Del(vouch.Header)
		return
	}
	x.sign()
	if x.vouch.token == nil {
		x.Req.Header.Del(vouch.Header)
		return
	}
	if x.vouch.at != 0 || !x.Req.Header.Has(vouch.Header) {
		x.Req.Header.Set(vouch.Header, x.vouch.token)
	}
}

// tell is the same for a copy, which has the token already if there is one.
func (c *mirror) tell(e *upstream.Endpoint) {
	if c.untold && !e.InMesh() {
		c.req.Header.Del(vouch.Header)
	}
}
