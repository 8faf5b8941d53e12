package accesslog

import (
	"time"
)

// run is the Logger's goroutine, the only one that touches the output. It
// sleeps while nothing is logged.
func (l *Logger) run() {
	defer close(l.done)
	timer := time.NewTimer(l.opt.FlushEvery)
	timer.Stop()
	defer timer.Stop()
	report := reporter{log: l.opt.Log}
	for {
		select {
		case <-l.wake:
			timer.Reset(l.opt.FlushEvery)
		case <-timer.C:
			l.armed.Store(false)
			l.flush(true)
			for i := range l.lanes {
				l.lanes[i].trim()
			}
			report.drops(l.Stats(), time.Now())
		case <-l.urgent:
			l.flush(false)
			report.drops(l.Stats(), time.Now())
		case r := <-l.requests:
			err := l.flush(true)
			if o, ok := l.out.(interface{ Reopen() error }); ok && r.reopen && err == nil {
				err = o.Reopen()
			}
			r.done <- err
		case <-l.stop:
			l.shut()
			l.flush(true)
			report.last(l.Stats())
			return
		}
	}
}

// shut makes the lanes refuse entries.
func (l *Logger) shut() {
	for i := range l.lanes {
		n := &l.lanes[i]
		n.mu.Lock()
		n.closed = true
		n.mu.Unlock()
	}
}

// flush writes full buffers, and with all also those that are not.
func (l *Logger) flush(all bool) error {
	var first error
	for i := range l.lanes {
		n := &l.lanes[i]
		for more := true; more; {
			var b *buffer
			if b, more = n.next(all); b == nil {
				break
			}
			if err := l.write(b); err != nil && first == nil {
				first = err
			}
			n.giveBack(b)
		}
	}
	return first
}

// next takes a lane's oldest buffer that has something to write; more says
// that it is worth asking again. The active buffer is the last one taken, so a
// lane that fills as fast as it is emptied does not keep the others waiting.
func (n *lane) next(all bool) (b *buffer, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.full) > 0 {
		b = n.full[0]
		n.full = append(n.full[:0], n.full[1:]...)
		return b, true
	}
	if !all || n.active == nil || n.active.entries == 0 {
		return nil, false
	}
	b, n.active = n.active, n.take()
	return b, false
}

func (n *lane) giveBack(b *buffer) {
	b.b, b.entries = b.b[:0], 0
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, b)
}

func (l *Logger) write(b *buffer) error {
	if _, err := l.out.Write(b.b); err != nil {
		l.errors.Add(b.entries)
		l.lastFailed.Store(time.Now().UnixNano())
		problem := err.Error()
		l.problem.Store(&problem)
		return err
	}
	l.written.Add(b.entries)
	l.lastWritten.Store(time.Now().UnixNano())
	l.problem.Store(nil)
	return nil
}
