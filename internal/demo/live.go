package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

//go:embed live.html
var livePage []byte

const (
	// livePatience bounds each write to somebody who watches.
	livePatience = 10 * time.Second
	// liveSign is between two signs of life when nothing happens.
	liveSign = 15 * time.Second
	// maxWish bounds a message in bytes: what a watcher wishes, or is told.
	maxWish = 1 << 10
)

// live shows what happens in the shop: the stock by WebSocket, orders by
// server-sent events, and a page with both.
type live struct {
	name    string
	stock   *stock
	ledger  *ledger
	closing <-chan struct{}
	wg      *sync.WaitGroup // of connections that net/http does not wait for
}

func (l *live) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(livePage)
	})
	mux.HandleFunc("GET /stock", l.watchStock)
	mux.HandleFunc("GET /orders", l.watchOrders)
	return served(l.name, mux)
}

// watchOrders sends an event for each order, beginning after the one that the
// client has seen last.
func (l *live) watchOrders(w http.ResponseWriter, r *http.Request) {
	made, stop, ok := l.ledger.made.listen()
	if !ok {
		writeError(w, http.StatusServiceUnavailable, "too many watch already")
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	send := func(text string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(livePatience))
		_, err := w.Write([]byte(text))
		return err == nil && control.Flush() == nil
	}
	if !send(": orders as they are made\n\n") {
		return
	}
	for _, o := range l.ledger.since(r.Header.Get("Last-Event-ID")) {
		if !send(event(o)) {
			return
		}
	}
	sign := time.NewTicker(liveSign)
	defer sign.Stop()
	for {
		text := ":\n\n"
		select {
		case o := <-made:
			text = event(o)
		case <-sign.C:
		case <-r.Context().Done():
			return
		case <-l.closing:
			return
		}
		if !send(text) {
			return
		}
	}
}

func event(o Order) string {
	b, _ := json.Marshal(o) // an Order always marshals
	return fmt.Sprintf("id: %s\nevent: order\ndata: %s\n\n", o.ID, b)
}

// watchStock sends each change of the stock. A watcher who sends the id of a
// product is told its level, and of no other product from then on.
func (l *live) watchStock(w http.ResponseWriter, r *http.Request) {
	changes, stop, ok := l.stock.changes.listen()
	if !ok {
		writeError(w, http.StatusServiceUnavailable, "too many watch already")
		return
	}
	defer stop()
	l.wg.Add(1)
	defer l.wg.Done()
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // the client was told
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{}) // the server's ended with the request
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heard := make(chan ws.Frame)
	l.wg.Go(func() {
		defer close(heard)
		for {
			f, err := readFrame(rw, ws.StateServerSide)
			if err != nil {
				return
			}
			select {
			case heard <- f:
			case <-ctx.Done():
				return
			}
		}
	})
	s := watcher{conn: conn}
	for open := true; open; {
		select {
		case level := <-changes:
			open = s.id != "" && s.id != level.ID || s.tell(level)
		case f, ok := <-heard:
			open = ok && s.answer(f, l.stock)
		case <-l.closing:
			s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "the shop closes")))
			return
		}
	}
}

// readFrame reads a whole message of at most maxWish bytes, or a control frame.
func readFrame(r io.Reader, side ws.State) (ws.Frame, error) {
	head, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{}, err
	}
	if err := ws.CheckHeader(head, side); err != nil {
		return ws.Frame{}, err
	}
	if !head.Fin || head.Length > maxWish {
		return ws.Frame{}, errors.New("the message is too long, or in pieces")
	}
	payload := make([]byte, head.Length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return ws.Frame{}, err
	}
	if head.Masked {
		ws.Cipher(payload, head.Mask, 0)
	}
	return ws.Frame{Header: head, Payload: payload}, nil
}

// watcher is one open WebSocket; its handler alone writes.
type watcher struct {
	conn net.Conn
	id   string // the product that it asked for
}

func (s *watcher) send(f ws.Frame) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(livePatience))
	return ws.WriteFrame(s.conn, f) == nil
}

func (s *watcher) tell(l Level) bool {
	b, _ := json.Marshal(l) // a Level always marshals
	return s.send(ws.NewTextFrame(b))
}

// answer tells whether the WebSocket stays open.
func (s *watcher) answer(f ws.Frame, stock *stock) bool {
	switch f.Header.OpCode {
	case ws.OpPing:
		return s.send(ws.NewPongFrame(f.Payload))
	case ws.OpPong:
		return true
	case ws.OpClose:
		s.send(ws.NewCloseFrame(f.Payload))
		return false
	}
	s.id = string(f.Payload)
	n, ok := stock.of(s.id)
	if !ok {
		s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusPolicyViolation, "there is no such product")))
		return false
	}
	return s.tell(Level{s.id, n})
}
