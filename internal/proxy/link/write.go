package link

import (
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// flusher is the task that writes for several streams, or goes on where one
// would have to write for others.
type flusher struct{ l *Link }

// Resume writes until nothing waits.
func (f *flusher) Resume(t *loop.Task) (idle bool) {
	f.l.mu.Lock()
	f.l.write(t, false)
	f.l.mu.Unlock()
	return false
}

// Flush sends what waits: at once for the only stream there is, and otherwise
// when the tasks that can run now have added theirs. It is called with the lock
// held, which it gives back while it writes.
func (l *Link) Flush(t *loop.Task) {
	if l.writing || l.ending || l.over {
		return
	}
	if l.H2.Pending() == 0 {
		l.rearm()
		return
	}
	if l.H2.Streams() > 1 || t == nil {
		l.schedule(t)
		return
	}
	l.writing = true
	l.write(t, true)
}

// schedule lets the flusher run if anything waits to be sent.
func (l *Link) schedule(t *loop.Task) {
	l.rearm()
	l.startWriting(t)
}

func (l *Link) startWriting(t *loop.Task) {
	if l.writing || l.ending || l.over {
		return
	}
	l.fill()
	if l.H2.Pending() == 0 {
		return
	}
	l.writing = true
	if t != nil {
		t.Go(&l.flusher)
	} else {
		l.nc.Home().Go(&l.flusher)
	}
}

// rearm wakes the reader if something is due before it would look, or if there
// is nothing more to do.
func (l *Link) rearm() {
	if l.nudged || l.over {
		return
	}
	by := l.H2.Deadline()
	if by != 0 && (l.armed == 0 || by < l.armed) || l.H2.Done() && !l.writing {
		l.nudged = true
		l.nc.Nudge()
	}
}

// fill lets streams add what they have waiting.
func (l *Link) fill() {
	for s := l.H2.Writable(); s != nil; s = l.H2.Writable() {
		l.user.Send(s)
	}
}

// write sends what waits, and what streams add meanwhile; a stream's own task
// does it once and leaves the rest to the flusher. It is called with the lock
// held and writing set.
func (l *Link) write(t *loop.Task, once bool) {
	for n := 0; ; n++ {
		if !l.ending {
			l.fill()
		}
		if l.over || l.H2.Pending() == 0 {
			break
		}
		if once && n > 0 {
			t.Go(&l.flusher)
			return
		}
		ok := l.writeOut(t, l.H2.Take())
		l.uncrowd()
		if !ok {
			break
		}
	}
	l.writing = false
	l.uncrowd()
	if l.ending {
		l.written.Open()
		return
	}
	l.rearm()
}

// uncrowd lets the reader go on.
func (l *Link) uncrowd() {
	if l.crowded && (!l.writing || l.H2.Pending() <= crowd) {
		l.crowded = false
		l.nc.Nudge()
	}
}

// writeOut writes one buffer, without the lock.
func (l *Link) writeOut(t *loop.Task, b *bufpool.Buf) bool {
	l.mu.Unlock()
	l.nc.BindWrite(t)
	_, err := l.nc.Write(b.B)
	b.Release()
	l.mu.Lock()
	if err == nil {
		return true
	}
	if netx.IsTimeout(err) {
		_ = l.nc.Abort()
	} else {
		l.nc.Kill() // the reader sees it
	}
	return false
}

// patience is how long the end of a connection may take, and each part of it.
const patience = time.Second

// lastWords sends what is left, as far as that goes without patience.
func (l *Link) lastWords(t *loop.Task) {
	l.mu.Lock()
	b := l.H2.Take()
	l.mu.Unlock()
	l.nc.SetWriteBy(netx.After(patience))
	if b != nil {
		_, err := l.nc.Write(b.B)
		b.Release()
		if err != nil {
			return
		}
	}
	if l.nc.CloseWrite() == nil {
		l.linger(t)
	}
}

// linger lets the peer read the reason of the end: a close with unread bytes
// would reset the connection.
func (l *Link) linger(t *loop.Task) {
	const most = 256 << 10
	b := bufpool.Get(firstRead)
	defer b.Release()
	l.nc.BindRead(t)
	l.nc.SetReadBy(netx.After(patience))
	for n := 0; n < most; {
		m, err := l.nc.Read(b.B)
		if err != nil || m == 0 {
			return
		}
		n += m
	}
}
