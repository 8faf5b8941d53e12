package pipeline

import (
	"errors"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
)

// asks has a server of the configuration answer a filter's question. It waits on
// the exchange's own task, and no longer than the exchange may take.
func (x *Exchange) asks(q *callout.Call) error {
	var c *upstream.Cluster
	if x.p.Upstreams != nil {
		c = x.p.Upstreams.Cluster(q.Cluster)
	}
	if c == nil {
		return &callout.Error{Kind: callout.NoServer, Err: errNoCluster}
	}
	began := now()
	x.beginQuestion(q)
	on := upstream.CallOn{By: x.deadline, Task: x.Down.Task(), Watch: x.Down, Gone: x.gone}
	if q.Shared {
		on.Watch, on.Gone, on.By = nil, nil, 0
	}
	err := c.Call(q, on)
	x.tick()
	x.endQuestion(q, began, err)
	if err != nil {
		var failed *callout.Error
		if errors.As(err, &failed) && failed.Kind == callout.Gone {
			x.Flags |= filter.ClientGone.Flag()
			x.broken = true
		}
	}
	return err
}

var errNoCluster = errors.New("the backend could not be resolved")
