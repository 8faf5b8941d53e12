package pipeline

import (
	"os"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/netx"
)

// writePaced passes a body on as fast as the policy's bandwidth allows.
func (x *Exchange) writePaced(p []byte) error {
	for len(p) > 0 {
		n, wait := x.PaceResponse(&x.Exchange, len(p))
		if wait > 0 && !x.wait(wait) {
			return x.waitFailure()
		}
		if err := x.writePiece(p[:n]); err != nil {
			return err
		}
		if p = p[n:]; len(p) > 0 || wait > 0 {
			if err := x.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitFailure is why a wait has ended early.
func (x *Exchange) waitFailure() error {
	if x.deadline > 0 && x.tick() >= x.deadline {
		return os.ErrDeadlineExceeded
	}
	return netx.ErrWatchGone
}

// chargeRequest is how long a piece of the request's body has to wait before it may
// pass. It may be called beside the exchange's own task.
func (x *Exchange) chargeRequest(n int) (wait time.Duration) {
	if x.PaceRequest == nil {
		return 0
	}
	return charge(&x.Exchange, x.PaceRequest, n)
}

func charge(x *filter.Exchange, pace filter.Pacer, n int) (wait time.Duration) {
	for n > 0 {
		piece, w := pace(x, n)
		n -= piece
		wait = max(wait, w)
	}
	return wait
}

// pause waits on the pump's own task until a piece may pass, or the pump is stopped.
func (p *pump) pause(wait time.Duration) {
	const look = 50 * time.Millisecond
	if wait <= 0 {
		return
	}
	p.task.Detach()
	end := time.Now().Add(wait)
	timer := time.NewTimer(min(wait, look))
	defer timer.Stop()
	for {
		<-timer.C
		left := time.Until(end)
		if left <= 0 || p.isStopped() {
			return
		}
		timer.Reset(min(left, look))
	}
}

func (p *pump) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}
