package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"google.golang.org/protobuf/encoding/protowire"
)

// How many customers watch at a time.
const (
	stockWatchers = 3 // by WebSocket
	orderWatchers = 2 // by server-sent events
	callWatchers  = 1 // by gRPC
)

// Watchers stay for between stayMin and stayMax, and come back after a pause.
const (
	stayMin   = 15 * time.Second
	stayMax   = 40 * time.Second
	watchNext = 2 * time.Second
)

// watch lets customers watch what happens in the shop.
func (t *Traffic) watch(ctx context.Context) {
	repeat := func(n int, visit func(ctx context.Context) error) {
		for range n {
			t.wg.Go(func() {
				for ctx.Err() == nil {
					stay, cancel := context.WithTimeout(ctx, stayMin+rand.N(stayMax-stayMin))
					err := visit(stay)
					t.count(stay, err)
					cancel()
					pause(ctx, watchNext)
				}
			})
		}
	}
	repeat(stockWatchers, t.watchStock)
	repeat(orderWatchers, t.watchOrders)
	if t.edge.Calls != "" {
		repeat(callWatchers, t.watchByGRPC)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watchStock opens a WebSocket, and closes it when ctx ends. Now and then it asks
// for one product only.
func (t *Traffic) watchStock(ctx context.Context) error {
	dialer := ws.Dialer{Timeout: clientTimeout}
	conn, br, _, err := dialer.Dial(ctx, strings.Replace(t.edge.Plain, "http", "ws", 1)+"/live/stock")
	if err != nil {
		return err
	}
	defer conn.Close()
	var from io.Reader = conn
	if br != nil { // the first messages came with the answer
		from = br
	}
	if rand.IntN(3) == 0 {
		if err := wsutil.WriteClientText(conn, []byte(products[rand.IntN(len(products))].ID)); err != nil {
			return err
		}
	}
	leave := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Now().Add(clientTimeout))
		_ = wsutil.WriteClientMessage(conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	})
	defer leave()
	for {
		f, err := readFrame(from, ws.StateClientSide)
		if err != nil {
			return err
		}
		if f.Header.OpCode == ws.OpClose {
			if ctx.Err() == nil { // the other side has begun
				_ = wsutil.WriteClientMessage(conn, ws.OpClose, f.Payload)
			}
			return nil
		}
	}
}

// watchOrders reads events until ctx ends.
func (t *Traffic) watchOrders(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.edge.Plain+"/live/orders", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	client := http.Client{Transport: t.clients.plain.Transport} // without an end
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// askByGRPC asks for the stock of a product.
func (t *Traffic) askByGRPC(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	return t.call(ctx, "Get", id)
}

// watchByGRPC follows the stock of all products until ctx ends.
func (t *Traffic) watchByGRPC(ctx context.Context) error { return t.call(ctx, "Watch", "") }

func (t *Traffic) call(ctx context.Context, method, id string) error {
	var m []byte
	if id != "" {
		m = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), id)
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.edge.Calls+"/"+stockService+"/"+method, bytes.NewReader(frame))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc+proto")
	req.Header.Set("Te", "trailers")
	resp, err := t.clients.calls.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	code := resp.Trailer.Get("Grpc-Status")
	if code == "" {
		code = resp.Header.Get("Grpc-Status")
	}
	if code != "0" {
		return fmt.Errorf("gRPC status %q", code)
	}
	return nil
}
