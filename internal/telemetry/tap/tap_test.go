package tap_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const cart = "spiffe://example.test/ns/shop/sa/cart"

// seen is a typical exchange that comes into a workload, with a text of a client.
func seen(text string) *tap.Seen {
	h := &httpmsg.Header{}
	h.Add([]byte("X-Tenant"), []byte("blue"+text))
	h.Add([]byte("Authorization"), []byte("Bearer sesame"))
	h.Add([]byte("X-Partner"), []byte("sesame"))
	h.Add([]byte("X-Odd"), []byte("Basic c2VzYW1lOnNlc2FtZQ=="))
	return &tap.Seen{
		Entry: &accesslog.Entry{
			Start: time.Unix(1_700_000_000, 0), Duration: 30 * time.Millisecond, RequestID: []byte("id"), Method: []byte("GET"), Scheme: "http", Host: []byte("shop.example:8080"),
			Path: []byte("/items/42" + text), Query: []byte("page=2&token=sesame&sesame"), Protocol: "HTTP/1.1", Status: 200, Route: "HTTPRoute/shop/items",
			Client: netip.MustParseAddr("192.0.2.1"), PeerIdentity: cart, ConsumerNamespace: "shop", Consumer: "ada",
		},
		Direction: tap.Inbound, Namespace: "shop", Service: "catalog", Port: 80, RequestHeader: h,
		Credentials: &ir.Authentication{AnyOf: []ir.AuthenticationMethod{{APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "x-partner"}}}}}},
	}
}

// look offers an exchange to a tap and returns what that shows.
func look(t *testing.T, query string, list ...*tap.Seen) (events []*tap.Event) {
	t.Helper()
	q, err := tap.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	set := tap.New(tap.Options{Self: "spiffe://example.test/ns/shop/sa/catalog"})
	if set.On() {
		t.Fatal("somebody looks")
	}
	one, err := set.Start(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		set.Offer(s)
	}
	one.End()
	if set.On() {
		t.Fatal("somebody looks still")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := one.Read(over, func(b []*tap.Event) error { events = append(events, b...); return nil }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return events
}

func TestFilters(t *testing.T) {
	outbound := func() *tap.Seen {
		s := seen("")
		s.Direction, s.PeerIdentity = tap.Outbound, ""
		return s
	}
	failed := func() *tap.Seen {
		s := seen("")
		s.Status, s.Failed = 503, true
		return s
	}
	denied := func() *tap.Seen {
		s := seen("")
		s.Status, s.Policy = 403, "shop/only-cart"
		return s
	}
	call := func() *tap.Seen {
		s := seen("")
		s.GRPCStatus = "UNAVAILABLE"
		return s
	}
	opened := func() *tap.Seen {
		s := seen("")
		s.Opened, s.WebSocket, s.GRPCStatus = true, true, "OK"
		return s
	}
	stream := func() *tap.Seen {
		return &tap.Seen{Entry: &accesslog.Entry{Stream: true, Protocol: "TCP"}, Direction: tap.Edge}
	}
	inbound := func() *tap.Seen { return seen("") }
	for _, c := range []struct {
		query string
		of    func() *tap.Seen
		want  bool
	}{
		{"", inbound, true},
		{"", stream, true},
		{"", opened, true},
		{"route=items", inbound, true},
		{"route=shop/items", inbound, true},
		{"route=HTTPRoute/shop/items", inbound, true},
		{"route=tems", inbound, false},
		{"route=other", inbound, false},
		{"to=catalog", inbound, true},
		{"to=shop/catalog", inbound, true},
		{"to=other/catalog", inbound, false},
		{"to=shop/cat", inbound, false},
		{"from=cart", inbound, true},
		{"from=shop/cart", inbound, true},
		{"from=" + cart, inbound, true},
		{"from=catalog", inbound, false},
		{"from=catalog", outbound, true},
		{"from=cart", outbound, false},
		{"from=cart", stream, false},
		{"direction=inbound", inbound, true},
		{"direction=edge&direction=outbound", inbound, false},
		{"direction=edge&direction=outbound", outbound, true},
		{"protocol=http", inbound, true},
		{"protocol=grpc", inbound, false},
		{"protocol=grpc", call, true},
		{"protocol=tcp", stream, true},
		{"protocol=websocket", opened, true},
		{"host=shop.example", inbound, true},
		{"host=SHOP.example", inbound, true},
		{"host=*.example", inbound, true},
		{"host=*.shop.example", inbound, false},
		{"method=GET&method=POST", inbound, true},
		{"method=POST", inbound, false},
		{"path=/items/42", inbound, true},
		{"path=/items", inbound, false},
		{"path=/items*", inbound, true},
		{"path=~/items/[0-9]%2B", inbound, true},
		{"path=~/items", inbound, false},
		{"path=*", inbound, true},
		{"status=200", inbound, true},
		{"status=4xx&status=5xx", inbound, false},
		{"status=500-504", failed, true},
		{"status=2xx", stream, false},
		{"grpcStatus=UNAVAILABLE", call, true},
		{"grpcStatus=OK", call, false},
		{"grpcStatus=OK", opened, false},
		{"header=x-tenant", inbound, true},
		{"header=x-none", inbound, false},
		{"header=X-Tenant:blue", inbound, true},
		{"header=X-Tenant:bl*", inbound, true},
		{"header=X-Tenant:red", inbound, false},
		{"header=authorization", inbound, true},
		{"header=x-partner:sesame", inbound, false},
		{"header=x-partner", inbound, true},
		{"header=x-odd:Basic*", inbound, false},
		{"header=a", stream, false},
		{"consumer=ada", inbound, true},
		{"consumer=shop/ada", inbound, true},
		{"consumer=bob", inbound, false},
		{"policy=only-cart", denied, true},
		{"policy=shop/only-cart", denied, true},
		{"policy=other", denied, false},
		{"policy=only-cart", inbound, false},
		{"slower=30ms", inbound, true},
		{"slower=31ms", inbound, false},
		{"slower=1ns", opened, false},
		{"failed=true", failed, true},
		{"failed=true", inbound, false},
		{"failed=false", failed, false},
		{"denied=true", denied, true},
		{"denied=true", failed, false},
		{"status=503&path=/other", failed, false},
	} {
		if got := len(look(t, c.query, c.of())) == 1; got != c.want {
			t.Errorf("%s: %v", c.query, got)
		}
	}
}

func TestNothingSecretIsShown(t *testing.T) {
	list := look(t, "show=authorization&show=x-partner&show=x-odd&show=X-Tenant", seen(""))
	text := string(list[0].JSON())
	if strings.Contains(text, "sesame") || strings.Contains(text, "c2VzYW1l") {
		t.Error(text)
	}
	if e := list[0]; len(e.RequestHeaders) != 4 || e.RequestHeaders[0].Value != tap.Masked || e.RequestHeaders[3].Value != "blue" || e.Query != "page=*&token=*&*" {
		t.Error(text)
	}
}

func TestAnEventHasBothEnds(t *testing.T) {
	e := look(t, "", seen(""))[0]
	if e.Source != (tap.Peer{Namespace: "shop", Service: "cart", Identity: cart, MTLS: true, Address: "192.0.2.1"}) || e.Destination.Service != "catalog" || e.Destination.Port != 80 ||
		e.DurationMs != 30 || e.Consumer != "shop/ada" || e.Type != tap.Exchange {
		t.Errorf("%+v", e)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	e := look(t, "show=x-tenant", seen(strings.Repeat("\xffa", 4000)))[0]
	if len(e.Path) > 3100 || !strings.HasSuffix(e.Path, "…") || len(e.RequestHeaders[0].Value) > 800 {
		t.Errorf("%d, %d", len(e.Path), len(e.RequestHeaders[0].Value))
	}
}

func TestWhatIsLeftOutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := tap.New(tap.Options{})
		q, err := tap.Parse("rate=3&for=10s")
		if err != nil {
			t.Fatal(err)
		}
		one, err := set.Start(q)
		if err != nil {
			t.Fatal(err)
		}
		defer one.End()
		shown, limited := 0, uint64(0)
		done := make(chan error)
		go func() {
			done <- one.Read(t.Context(), func(b []*tap.Event) error {
				for _, e := range b {
					if e.Type == tap.LeftOut {
						limited += e.Limited
					} else {
						shown++
					}
				}
				return nil
			})
		}()
		for range 10 {
			set.Offer(seen(""))
		}
		time.Sleep(time.Second)
		for range 5 {
			set.Offer(seen(""))
		}
		if err := <-done; err != nil {
			t.Fatalf("a tap whose time is over: %v", err)
		}
		if shown != 6 || limited != 9 {
			t.Errorf("shown %d, limited %d", shown, limited)
		}
	})
}

func TestASlowReaderLosesEvents(t *testing.T) {
	set := tap.New(tap.Options{})
	q, _ := tap.Parse("rate=5000")
	one, err := set.Start(q)
	if err != nil {
		t.Fatal(err)
	}
	for range 1500 { // nobody reads
		set.Offer(seen(""))
	}
	one.End()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	shown, lost := 0, uint64(0)
	err = one.Read(over, func(b []*tap.Event) error {
		for _, e := range b {
			if e.Type == tap.LeftOut {
				lost += e.Lost
			} else {
				shown++
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if shown != 1024 || lost != 476 {
		t.Errorf("shown %d, lost %d", shown, lost)
	}
}

func TestTapsAreBounded(t *testing.T) {
	set := tap.New(tap.Options{})
	q, _ := tap.Parse("")
	var list []*tap.Tap
	for range tap.MaxTaps {
		one, err := set.Start(q)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
	if _, err := set.Start(q); !errors.Is(err, tap.ErrTooMany) {
		t.Error(err)
	}
	for _, one := range list {
		one.End()
		one.End()
	}
	if set.On() {
		t.Error("somebody looks still")
	}
}

func TestWhatTheAccessLogLeavesOut(t *testing.T) {
	omit, err := accesslog.ParseOmitted([]string{"client", "consumer"})
	if err != nil {
		t.Fatal(err)
	}
	set := tap.New(tap.Options{Omit: omit})
	q, _ := tap.Parse("")
	one, _ := set.Start(q)
	set.Offer(seen(""))
	one.End()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_ = one.Read(over, func(b []*tap.Event) error {
		if b[0].Source.Address != "" || b[0].Consumer != "" {
			t.Errorf("%+v", b[0])
		}
		return nil
	})
}

func BenchmarkOffer(b *testing.B) {
	s := seen("")
	for name, query := range map[string]string{"filtered": "path=/other*&method=GET", "limited": "rate=1"} {
		b.Run(name, func(b *testing.B) {
			set := tap.New(tap.Options{})
			q, _ := tap.Parse(query)
			if _, err := set.Start(q); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				set.Offer(s)
			}
		})
	}
	b.Run("nobody", func(b *testing.B) {
		set := tap.New(tap.Options{})
		b.ReportAllocs()
		for b.Loop() {
			if set.On() {
				set.Offer(s)
			}
		}
	})
}

// Who asks for all that begins gets each exchange once when it begins, and once when it
// ends; others get what goes on for long alone.
func TestWhatBegins(t *testing.T) {
	for query, want := range map[string]string{"open=true": "begun end", "": "going-on end", "open=true&status=200": "end"} {
		q, err := tap.Parse(query)
		if err != nil {
			t.Fatal(err)
		}
		set := tap.New(tap.Options{})
		look, err := set.Start(q)
		if err != nil {
			t.Fatal(err)
		}
		if set.Opening() != q.Open {
			t.Errorf("%s: opening is %t", query, set.Opening())
		}
		begun := seen("/a")
		begun.Opened, begun.Begun, begun.Status = true, true, 0
		begun.Host = []byte("begun")
		set.Offer(begun)
		goesOn := seen("/a")
		goesOn.Opened, goesOn.Told, goesOn.Status = true, true, 0
		goesOn.Host = []byte("going-on")
		set.Offer(goesOn)
		end := seen("/a")
		end.Host, end.Status = []byte("end"), 200
		set.Offer(end)
		look.End()
		if set.Opening() {
			t.Error("nobody looks any more")
		}
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = look.Read(ctx, func(events []*tap.Event) error {
			for _, e := range events {
				got = append(got, e.Host)
			}
			return nil
		})
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %q, want %q", query, text, want)
		}
	}
}
