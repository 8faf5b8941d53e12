package h2_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// driver moves the bytes of a connection: a goroutine that reads and one that
// writes, with a lock around the state machine.
type driver struct {
	mu    sync.Mutex
	cond  *sync.Cond
	c     *h2.Conn
	nc    net.Conn
	ended bool
	err   error
	on    func(*h2.Event) // called with the lock
	wg    sync.WaitGroup
}

// exchange is what the driver keeps of a stream.
type exchange struct {
	req     *httpmsg.Request
	resp    httpmsg.Response
	arena   httpmsg.Arena
	pending []byte // content that waits to be sent
	end     bool   // and the end after it
	trailer *httpmsg.Header

	body       []byte // content that has come
	status     int
	header     [][2]string
	gotTrailer [][2]string
	done       bool
	released   bool
	reset      h2.ErrCode
	err        error
}

func drive(t *testing.T, nc net.Conn, make func(now int64) *h2.Conn, on func(*h2.Event)) *driver {
	d := &driver{nc: nc, on: on, c: make(time.Now().UnixNano())}
	d.cond = sync.NewCond(&d.mu)
	d.wg.Add(2)
	go d.read()
	go d.write()
	t.Cleanup(func() {
		nc.Close()
		d.wg.Wait()
	})
	return d
}

func (d *driver) read() {
	defer d.wg.Done()
	buf := make([]byte, 32<<10)
	w := 0
	var ev h2.Event
	for {
		n, err := d.nc.Read(buf[w:])
		w += n
		d.mu.Lock()
		in := buf[:w]
		for err == nil {
			var used int
			used, err = d.c.Next(in, time.Now().UnixNano(), &ev)
			in = in[used:]
			if err != nil || ev.Kind == h2.EventNone {
				break
			}
			s := ev.Stream
			d.on(&ev)
			if s != nil {
				d.release(s)
			}
		}
		w = copy(buf, in)
		if err != nil {
			d.ended = true
			var e *h2.Error
			if errors.As(err, &e) {
				d.err = err
			}
		}
		d.cond.Broadcast()
		d.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (d *driver) write() {
	defer d.wg.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for s := d.c.Writable(); s != nil; s = d.c.Writable() {
			d.pump(s)
		}
		if b := d.c.Take(); b != nil {
			d.mu.Unlock()
			_, err := d.nc.Write(b.B)
			b.Release()
			d.mu.Lock()
			if err != nil {
				return
			}
			continue
		}
		if d.ended {
			d.nc.Close()
			return
		}
		d.cond.Wait()
	}
}

// pump sends what a stream has.
func (d *driver) pump(s *h2.Stream) {
	x := s.User.(*exchange)
	n, err := d.c.SendData(s, x.pending, x.end && x.trailer == nil)
	x.pending = x.pending[n:]
	if err == nil && len(x.pending) == 0 && x.end && x.trailer != nil {
		d.c.SendTrailer(s, x.trailer)
	}
	d.release(s)
}

// release lets go of a stream that has ended, once.
func (d *driver) release(s *h2.Stream) {
	if x, ok := s.User.(*exchange); ok && s.Closed() && !x.released {
		x.released = true
		d.c.Release(s)
	}
}

// take collects what an event brings, and gives content back at once.
func (x *exchange) take(d *driver, ev *h2.Event) {
	switch ev.Kind {
	case h2.EventResponse:
		x.status, x.header = x.resp.Status, copyFields(&x.resp.Header)
	case h2.EventData:
		x.body = append(x.body, ev.Data...)
		d.c.Consume(ev.Stream, len(ev.Data))
	case h2.EventTrailer:
		x.gotTrailer = copyFields(ev.Trailer)
	case h2.EventReset:
		x.reset = ev.Code
		if ev.Err != nil {
			x.err = ev.Err
		}
	}
	x.done = x.done || ev.End
}

func copyFields(h *httpmsg.Header) (fields [][2]string) {
	for i := range h.Len() {
		fields = append(fields, [2]string{string(h.At(i).Name), string(h.At(i).Value)})
	}
	return fields
}

// await waits, with the lock, until done is true or the connection is over.
func (d *driver) await(t *testing.T, done func() bool) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() {
		d.mu.Lock()
		d.ended = true
		d.err = errors.New("nothing happened for 20 seconds")
		d.nc.Close()
		d.cond.Broadcast()
		d.mu.Unlock()
	})
	defer timer.Stop()
	for !done() {
		if d.ended {
			t.Fatalf("the connection has ended: %v", d.err)
		}
		d.cond.Wait()
	}
}
