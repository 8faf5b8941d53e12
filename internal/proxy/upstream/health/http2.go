package health

import (
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// call is one request over HTTP/2, on a connection of its own, and its answer.
// It is used by one goroutine.
type call struct {
	conn *netx.Conn
	h2   *h2.Conn
	buf  *bufpool.Buf

	response httpmsg.Response
	arena    httpmsg.Arena
	headed   bool
	ended    bool
	// content is as much of the response's as fits into most bytes, maxContent if
	// that is zero; overflow tells that there was more.
	content  []byte
	most     int
	overflow bool
	trailer  httpmsg.Header
}

// maxContent bounds what is read of a response, and takes in a gRPC message of
// a few bytes.
const maxContent = 64 << 10

// headerLimits are those of the answer to a check.
const (
	maxHeaderBytes = 16 << 10
	maxHeaders     = 512
)

// exchange sends the request with its content, and receives the response until
// enough says so, or until it has ended.
func (c *call) exchange(req *httpmsg.Request, content []byte, by int64, enough func() bool) error {
	c.conn.SetWriteBy(by)
	c.conn.SetReadBy(by)
	c.buf = bufpool.Get(bufpool.Large)
	defer c.buf.Release()
	c.h2 = h2.NewClient(h2.Config{HeaderBytes: maxHeaderBytes, HeaderCount: maxHeaders, MaxStreams: 1}, netx.Monotonic())
	s, err := c.h2.Open(req, len(content) == 0, &c.response, &c.arena)
	if err != nil {
		return err
	}
	if len(content) > 0 {
		// It is shorter than any window or buffer.
		if _, err := c.h2.SendData(s, content, true); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	err = c.receive(s, enough)
	c.h2.Release(s)
	c.h2.Leave()
	_ = c.flush() // out of politeness
	return err
}

func (c *call) flush() error {
	for b := c.h2.Take(); b != nil; b = c.h2.Take() {
		_, err := c.conn.Write(b.B)
		b.Release()
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

func (c *call) receive(s *h2.Stream, enough func() bool) error {
	have := 0
	for {
		used := 0
		for {
			var ev h2.Event
			n, err := c.h2.Next(c.buf.B[used:have], netx.Monotonic(), &ev)
			used += n
			if err != nil {
				_ = c.flush() // the reason, for the endpoint
				return err
			}
			if ev.Kind == h2.EventNone {
				break
			}
			if ev.Stream == s {
				if err := c.event(&ev); err != nil {
					return err
				}
			}
			if c.ended || c.headed && enough() {
				return nil
			}
		}
		have = copy(c.buf.B, c.buf.B[used:have])
		if err := c.flush(); err != nil {
			return err
		}
		if have == len(c.buf.B) {
			return errors.New("receive: a frame is larger than was agreed")
		}
		n, err := c.conn.Read(c.buf.B[have:])
		have += n
		if err != nil && n == 0 {
			if c.headed && netx.IsTimeout(err) && enough() {
				return nil
			}
			return fmt.Errorf("receive: %w", err)
		}
	}
}

func (c *call) event(ev *h2.Event) error {
	switch ev.Kind {
	case h2.EventInterim:
		c.response.Reset()
	case h2.EventResponse:
		c.headed = true
	case h2.EventData:
		most := c.most
		if most == 0 {
			most = maxContent
		}
		room := min(len(ev.Data), most-len(c.content))
		c.overflow = c.overflow || room < len(ev.Data)
		c.content = append(c.content, ev.Data[:room]...)
		c.h2.Consume(ev.Stream, len(ev.Data))
	case h2.EventTrailer:
		for i := range ev.Trailer.Len() {
			f := ev.Trailer.At(i)
			c.trailer.AddField(c.arena.Copy(f.Name), c.arena.Copy(f.Value), f.ID)
		}
	case h2.EventReset:
		if ev.Err != nil {
			return ev.Err
		}
		if c.headed && ev.Code == h2.NoError { // RFC 9113 §8.1: the response is whole
			c.ended = true
			return nil
		}
		return fmt.Errorf("receive: the endpoint has reset the stream: %s", ev.Code)
	}
	c.ended = c.ended || ev.End
	return nil
}

// probeHTTP2 is probeHTTP over HTTP/2.
func probeHTTP2(conn *netx.Conn, t Target, q *request, by int64) (status int, err error) {
	var req httpmsg.Request
	q.fill(&req, t.Secure())
	c := call{conn: conn}
	drained := int64(0)
	err = c.exchange(&req, nil, by, func() bool {
		// A short body is read, so that the endpoint does not see its answer reset.
		now := netx.Monotonic()
		if drained == 0 {
			drained = min(by, now+int64(drainTime))
			conn.SetReadBy(drained)
		}
		return now >= drained || len(c.content) >= maxContent
	})
	return c.response.Status, err
}

// drainTime is how long the rest of a response is waited for.
const drainTime = 200 * time.Millisecond
