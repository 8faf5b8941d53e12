package netx

import (
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// Ends are who receives and who sends on a stream of a connection that it shares
// with others, and until when either may wait. The two are different tasks, or
// goroutines, where the stream is a tunnel or has a body that is long in coming.
type Ends struct {
	// Reader and Writer are nil for ordinary goroutines.
	Reader, Writer *loop.Task
	// ReadBy and WriteBy are monotonic times; 0 is for ever.
	ReadBy, WriteBy int64
}

// Bind says which task sends and receives, nil for a goroutine.
func (e *Ends) Bind(t *loop.Task) { e.Reader, e.Writer = t, t }

// BindRead says which task receives.
func (e *Ends) BindRead(t *loop.Task) { e.Reader = t }

// BindWrite says which task sends.
func (e *Ends) BindWrite(t *loop.Task) { e.Writer = t }

// SetReadBy lets what waits to receive fail from the monotonic time t on.
func (e *Ends) SetReadBy(t int64) { e.ReadBy = t }

// SetWriteBy is SetReadBy for sending.
func (e *Ends) SetWriteBy(t int64) { e.WriteBy = t }

// WallClock is the time of a monotonic deadline, for what knows no other clock; 0
// is none.
func WallClock(by int64) time.Time {
	if by == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(by - loop.Now()))
}
