package distrib

import (
	"errors"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// PartialError is what an Applier returns if it serves a configuration but for some
// resources, which it may be able to serve later: a port that another program has. Err
// joins a ResourceError for each. The Applier is given the same again after a while.
type PartialError struct{ Err error }

func (e *PartialError) Error() string { return e.Err.Error() }

func (e *PartialError) Unwrap() error { return e.Err }

func isPartial(err error) bool {
	var partial *PartialError
	return errors.As(err, &partial)
}

// What could not be put in service is tried again after these waits.
const (
	retryFirst = 250 * time.Millisecond
	retryMax   = 30 * time.Second
)

// retry is when a revision is applied once more.
type retry struct {
	at       <-chan time.Time
	revision Revision
	pause    time.Duration
}

// later has a revision applied once more, after a wait that grows.
func (x *connection) later(r Revision) {
	if x.retry.revision != r {
		x.retry = retry{revision: r, pause: retryFirst}
	} else {
		x.retry.pause = min(2*x.retry.pause, retryMax)
	}
	x.retry.at = time.After(x.retry.pause)
}

// refusalList is what an error says of which resources.
func refusalList(err error) (list []Refusal) {
	for _, e := range refusals(err) {
		if len(list) == maxRefusals {
			break
		}
		list = append(list, Refusal{e.Key, short(e.Err.Error())})
	}
	return list
}

// Refused says why the newest configuration cannot be served; empty if it can.
func (s *ClientStatus) Refused() string {
	texts := make([]string, len(s.Refusals))
	for i, r := range s.Refusals {
		texts[i] = r.String()
	}
	return strings.Join(texts, "; ")
}

// nack says what is served in place of a revision. If that is the revision itself, only
// what is refused is missing.
func (x *connection) nack(r, serving Revision, list []Refusal) {
	n := &meshpb.Nack{Revision: r.message(), Serving: serving.message()}
	for _, f := range list {
		n.Refusals = append(n.Refusals, &meshpb.Refusal{Kind: f.Kind, Name: f.Name, Reason: f.Reason})
	}
	x.say(&meshpb.FromProxy{Message: &meshpb.FromProxy_Nack{Nack: n}})
}
