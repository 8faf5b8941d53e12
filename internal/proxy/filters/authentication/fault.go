package authentication

import (
	"errors"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Counts counts what a method does.
type Counts interface {
	// Faulted: a credential is refused, for what is wrong by its number.
	Faulted(fault int)
	// Recalled: what is needed to judge a credential was remembered, or was not.
	Recalled(hit bool)
}

type uncounted struct{}

func (uncounted) Faulted(int)   {}
func (uncounted) Recalled(bool) {}

// refuse says of a credential that it is not good, and why.
func refuse(x *filter.Exchange, f filter.Fault) result {
	x.Found(f)
	return refused
}

// without says that nobody can tell, since something is not there.
func without(x *filter.Exchange, f filter.Fault) result {
	x.Found(f)
	return unavailable
}

// overloaded says that too many are at work.
func overloaded(x *filter.Exchange) result {
	x.Found(filter.FaultBusy)
	return busy
}

// untimely is for what is not valid now, and is from a time on.
func untimely(from, now time.Time) filter.Fault {
	if now.Before(from) {
		return filter.FaultNotYet
	}
	return filter.FaultExpired
}

// faultOf is what an error of package jwt says of a token.
func faultOf(err error) filter.Fault {
	switch {
	case errors.Is(err, jwt.ErrUnknownKey):
		return filter.FaultKeyID
	case errors.Is(err, jwt.ErrSignature):
		return filter.FaultSignature
	case errors.Is(err, jwt.ErrAlgorithm):
		return filter.FaultAlgorithm
	}
	return filter.FaultMalformed
}

// said is what the methods have said of a request, in their order.
type said [ir.MaxMethods]struct {
	result result
	fault  filter.Fault
}

// blame records why a request is refused, by each method that has looked at a
// credential.
func (a *Authentication) blame(x *filter.Exchange, s *said) {
	for i := range a.methods {
		if one := s[i]; one.result > excused {
			if one.fault == filter.FaultNone {
				one.fault = filter.FaultOther
			}
			a.counts[i].Faulted(int(one.fault))
			x.Faults = append(x.Faults, filter.Faulted{Method: a.policy.AnyOf[i].Name, Fault: one.fault})
		}
	}
}
