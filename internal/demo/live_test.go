package demo_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/demo"
)

const patience = 30 * time.Second

// order lets a customer buy a lamp, and returns the id of the order.
func order(t *testing.T, at map[string]string) string {
	t.Helper()
	for range 20 { // the service may be unavailable, or the card refused; more is in the cart then
		call(t, "POST", at["cart"]+"/eve/items", `{"product":"lamp-01","count":1}`, 201)
		resp, err := http.Post(at["orders"]+"/", "application/json", strings.NewReader(`{"user":"eve"}`))
		if err != nil {
			t.Fatal(err)
		}
		var o demo.Order
		err = json.NewDecoder(resp.Body).Decode(&o)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusCreated {
			return o.ID
		}
	}
	t.Fatal("nothing can be bought")
	return ""
}

// The page opens the WebSocket and the events that the live service has.
func TestLivePage(t *testing.T) {
	at := open(t)
	resp, err := http.Get(at["live"] + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatal(resp.Header, err)
	}
	for _, want := range []string{`"/live/stock"`, `"/live/orders"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %s in the page", want)
		}
	}
}

func TestStockByWebSocket(t *testing.T) {
	at := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, br, _, err := ws.Dial(ctx, strings.Replace(at["live"], "http", "ws", 1)+"/stock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if br != nil {
		t.Error("it speaks before anything has happened")
	}
	c.SetDeadline(time.Now().Add(patience))
	hear := func() (l demo.Level) {
		t.Helper()
		p, err := wsutil.ReadServerText(c)
		if err == nil {
			err = json.Unmarshal(p, &l)
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if err := wsutil.WriteClientText(c, []byte("lamp-01")); err != nil {
		t.Fatal(err)
	}
	before := hear()
	order(t, at)
	if after := hear(); before.ID != "lamp-01" || after.ID != before.ID || after.Count >= before.Count {
		t.Errorf("%v, then %v", before, after)
	}
	if err := wsutil.WriteClientMessage(c, ws.OpPing, []byte("?")); err != nil {
		t.Fatal(err)
	}
	pong := make([]byte, 3) // a header of two bytes, and what was sent
	if _, err := io.ReadFull(c, pong); err != nil || string(pong) != "\x8a\x01?" {
		t.Errorf("%q %v", pong, err)
	}
	if err := wsutil.WriteClientText(c, []byte("nothing")); err != nil {
		t.Fatal(err)
	}
	var closed wsutil.ClosedError
	if _, err := wsutil.ReadServerText(c); !errors.As(err, &closed) || closed.Code != ws.StatusPolicyViolation {
		t.Error(err)
	}
}

// A message that is too long to be an id, or comes in pieces, ends a WebSocket.
func TestWishesAreShort(t *testing.T) {
	at := open(t)
	for name, frame := range map[string]ws.Frame{
		"long":     ws.NewTextFrame(bytes.Repeat([]byte("x"), 2000)),
		"fragment": ws.NewFrame(ws.OpText, false, []byte("lamp")),
		"unmasked": ws.NewTextFrame([]byte("lamp-01")),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, _, _, err := ws.Dial(ctx, strings.Replace(at["live"], "http", "ws", 1)+"/stock")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		if name != "unmasked" {
			frame = ws.MaskFrameInPlace(frame)
		}
		if err := ws.WriteFrame(c, frame); err != nil {
			t.Fatal(err)
		}
		if p, err := wsutil.ReadServerText(c); err == nil {
			t.Errorf("%s: %q", name, p)
		}
		c.Close()
	}
}

func TestOrdersByEvents(t *testing.T) {
	at := open(t)
	first := order(t, at)
	listen := func(after string) func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, "GET", at["live"]+"/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", after)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Fatal(kind)
		}
		lines := bufio.NewScanner(resp.Body)
		return func() string {
			for lines.Scan() {
				if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
					return id
				}
			}
			t.Fatal(lines.Err())
			return ""
		}
	}
	fresh := listen("")
	second := order(t, at)
	if got := fresh(); got != second {
		t.Errorf("%s, want %s", got, second)
	}
	again := listen(first)
	if got := again(); got != second {
		t.Errorf("after %s comes %s, want %s", first, got, second)
	}
}

// grpcCall makes a call as gRPC does, and returns messages as they come.
func grpcCall(t *testing.T, url, kind string, message []byte) (next func() []byte, status func() string) {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &protocols}
	t.Cleanup(tr.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	req, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(frame))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	next = func() []byte {
		t.Helper()
		var head [5]byte
		if _, err := io.ReadFull(resp.Body, head[:]); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(resp.Body, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	return next, func() string {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.Trailer.Get("Grpc-Status")
	}
}

func TestStockByGRPC(t *testing.T) {
	at := open(t)
	get, watch := at["stock"]+"/shop.v1.Stock/Get", at["stock"]+"/shop.v1.Stock/Watch"
	product := func(id string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), id)
	}
	next, status := grpcCall(t, get, "application/grpc+json", []byte(`{"id":"lamp-01"}`))
	var l demo.Level
	if err := json.Unmarshal(next(), &l); err != nil || l.ID != "lamp-01" || l.Count < 1 {
		t.Error(l, err)
	}
	if s := status(); s != "0" {
		t.Error(s)
	}
	level := func(count int) string {
		return string(protowire.AppendVarint(protowire.AppendTag(product("lamp-01"), 2, protowire.VarintType), uint64(count)))
	}
	next, status = grpcCall(t, get, "application/grpc", product("lamp-01"))
	if got := next(); string(got) != level(l.Count) || status() != "0" {
		t.Errorf("%q, want %q", got, level(l.Count))
	}
	next, _ = grpcCall(t, watch, "application/grpc+proto", product("lamp-01"))
	if got := next(); string(got) != level(l.Count) {
		t.Errorf("%q at first, want %q", got, level(l.Count))
	}
	order(t, at)
	if got := next(); string(got) == level(l.Count) || !strings.HasPrefix(string(got), string(product("lamp-01"))) {
		t.Errorf("%q after an order", got)
	}
	for name, c := range map[string]struct {
		url, kind, message, status string
	}{
		"unknown product":  {get, "application/grpc+json", `{"id":"nothing"}`, "5"},
		"unknown to watch": {watch, "application/grpc+json", `{"id":"nothing"}`, "5"},
		"no JSON":          {get, "application/grpc+json", `{`, "3"},
		"no protobuf":      {get, "application/grpc", "\x0a\x7f", "3"},
		"too long":         {get, "application/grpc", strings.Repeat("x", 5000), "8"},
		"unknown method":   {at["stock"] + "/shop.v1.Stock/Sell", "application/grpc", "", "12"},
	} {
		if _, status := grpcCall(t, c.url, c.kind, []byte(c.message)); status() != c.status {
			t.Errorf("%s: status is not %s", name, c.status)
		}
	}
	for _, m := range []string{"service Stock", "rpc Get(Product) returns (Level)", "rpc Watch(Product) returns (stream Level)", "package shop.v1"} {
		if !strings.Contains(demo.StockProto, m) {
			t.Errorf("no %q in stock.proto", m)
		}
	}
}

// The shop closes although somebody watches.
func TestShopCloses(t *testing.T) {
	shop, err := demo.Open(demo.Options{Dir: t.TempDir(), AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, _, err := ws.Dial(ctx, "ws://"+shop.Address("live")+"/stock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	done := make(chan struct{})
	go func() { shop.Close(); close(done) }()
	var closed wsutil.ClosedError
	if _, err := wsutil.ReadServerText(c); !errors.As(err, &closed) || closed.Code != ws.StatusGoingAway {
		t.Error(err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

func TestCertificate(t *testing.T) {
	now := time.Now()
	c, err := demo.NewCertificate(now)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^  tls.crt: (.*)$`).FindStringSubmatch(c.Secret())
	text, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		t.Fatal(err)
	}
	certs := x509.NewCertPool()
	if !certs.AppendCertsFromPEM(text) || !certs.Equal(c.Pool) {
		t.Error("the secret's certificate is not the one that is trusted")
	}
	if !strings.Contains(c.Secret(), "\n  tls.key: ") {
		t.Error("no key")
	}
}
