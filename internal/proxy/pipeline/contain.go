package pipeline

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
)

// errInternal: a defect of the program ended what was under way.
var errInternal = errors.New("pipeline: internal error")

// contain keeps a defect in a filter or in the pipeline to the exchange that
// met it: the client gets 500, or sees that its response is not complete; what
// the exchange held is given back; everything else goes on.
func (x *Exchange) contain() {
	defect := recover()
	if defect == nil {
		return
	}
	x.logDefect(defect)
	x.tainted = true
	x.Flags |= filter.InternalError.Flag()
	if x.backend != nil && x.backend.Cluster != nil {
		x.abandonTry(x.backend.Cluster)
	}
	if x.headSent {
		x.broken = true
		x.Down.Abort()
		return
	}
	x.Resp.Reset()
	x.Fail(500, filter.InternalError, "a defect in the gateway; its log has more under this request's ID")
	x.sendLocal()
}

// abandonTry ends the try that the defect interrupted, if there is one.
func (x *Exchange) abandonTry(c *upstream.Cluster) {
	x.dropConn()
	if x.trying {
		x.tick()
		x.done(c, upstream.Outcome{Kind: upstream.Cancelled}, filter.InternalError)
	}
	if x.retried {
		c.RetryDone()
		x.retried = false
	}
}

// containTry is contain for a try that runs beside its exchange.
func (x *Exchange) containTry(c *upstream.Cluster, f *failure) {
	defect := recover()
	if defect == nil {
		return
	}
	x.logDefect(defect)
	x.tainted = true
	x.abandonTry(c)
	*f = failure{reason: filter.InternalError, kind: upstream.Cancelled, err: errInternal}
}

// containBody is contain for a body filter that runs beside its exchange.
func (x *Exchange) containBody(err *error) {
	if defect := recover(); defect != nil {
		x.logDefect(defect)
		x.tainted = true
		*err = errInternal
	}
}

func (x *Exchange) logDefect(defect any) {
	route := ""
	if x.Rule != nil {
		route = x.Rule.ID
	}
	x.p.Log.Error("a defect in Gridway ended an exchange; please report it", "panic", fmt.Sprint(defect),
		"request_id", string(x.RequestID), "route", route, "stack", string(debug.Stack()))
}
