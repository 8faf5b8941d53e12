package accesslog

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// full has every field set.
func full() *Entry {
	return &Entry{
		Start:    time.Date(2026, 11, 20, 10, 11, 12, 13_000_014, time.FixedZone("", 3600)),
		Duration: 12_345_678 * time.Nanosecond, Upstream: 10 * time.Millisecond,
		RequestID: []byte("0190-abc"), Method: []byte("GET"), Scheme: "https", Host: []byte("shop.example"),
		Path: []byte("/cart/1"), Query: []byte("a=1&b&c=&token=x"), Protocol: "HTTP/1.1",
		GRPCService: []byte("shop.v1.Cart"), GRPCMethod: []byte("Get"), GRPCStatus: "UNAVAILABLE",
		Status: 503, Flags: []byte("UpstreamReset,RetryLimit"), Reason: "UpstreamReset",
		Listener: "0.0.0.0:8443", Route: "HTTPRoute/default/cart", Rule: "HTTPRoute/default/cart/rules/0", Cluster: "Backend/default/cart", Endpoint: "10.0.0.1:80",
		Attempts: 3, RequestBytes: 10, ResponseBytes: 1 << 40,
		Client: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddrPort("[2001:db8::1]:4711"),
		UserAgent: []byte("curl/8"), Referer: []byte("https://a.example/p?secret=1#f"), TraceID: []byte("0af7651916cd43dd8448eb211c80319c"),
		TLSVersion: tls.VersionTLS13, TLSCipher: tls.TLS_AES_128_GCM_SHA256, TLSServerName: "shop.example",
		Revision: 7,
	}
}

func line(c *encoder, e *Entry) string {
	if c.maxField == 0 {
		c.maxField = defaultMaxField
	}
	return string(c.append(nil, e))
}

func TestEveryField(t *testing.T) {
	want := `{"time":"2026-11-20T09:11:12.013000014Z","request_id":"0190-abc","method":"GET","scheme":"https","host":"shop.example","path":"/cart/1",` +
		`"protocol":"HTTP/1.1","status":503,"grpc_service":"shop.v1.Cart","grpc_method":"Get","grpc_status":"UNAVAILABLE","flags":"UpstreamReset,RetryLimit","reason":"UpstreamReset","listener":"0.0.0.0:8443","route":"HTTPRoute/default/cart",` +
		`"rule":"0","cluster":"Backend/default/cart","endpoint":"10.0.0.1:80","attempts":3,"duration_ms":12.345,"upstream_ms":10.000,"request_bytes":10,` +
		`"response_bytes":1099511627776,"client":"192.0.2.1","peer":"[2001:db8::1]:4711","user_agent":"curl/8","referer":"https://a.example/p",` +
		`"trace_id":"0af7651916cd43dd8448eb211c80319c","tls_version":"1.3","tls_cipher":"TLS_AES_128_GCM_SHA256","tls_server_name":"shop.example","revision":7}` + "\n"
	if got := line(&encoder{}, full()); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestAnEmptyEntryHasWhatIsAlwaysThere(t *testing.T) {
	want := `{"time":"1970-01-01T00:00:00.000000000Z","status":0,"duration_ms":0.000,"request_bytes":0,"response_bytes":0}` + "\n"
	if got := line(&encoder{}, &Entry{Start: time.Unix(0, 0), Duration: -5}); got != want {
		t.Errorf("got %s", got)
	}
}

// member decodes a line and returns one member, "" if it is not there.
func member(t *testing.T, text, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	s, _ := m[name].(string)
	return s
}

func TestQueryModes(t *testing.T) {
	for _, c := range []struct {
		query string
		mode  QueryMode
		want  string
	}{
		{"a=1&b=2", QueryOmit, ""},
		{"a=1&b=2", QueryFull, "a=1&b=2"},
		{"a=1&b=2", QueryNames, "a=*&b=*"},
		{"", QueryNames, ""},
		{"eyJhbGciOi", QueryNames, "*"}, // a bare token is a value
		{"a=1=2&&=x&b", QueryNames, "a=*&&=*&*"},
		{"a\"\n=1", QueryNames, "a\"\n=*"},
	} {
		if got := member(t, line(&encoder{query: c.mode}, &Entry{Query: []byte(c.query)}), "query"); got != c.want {
			t.Errorf("%q in mode %d: %q, want %q", c.query, c.mode, got, c.want)
		}
	}
}

func TestRefererModes(t *testing.T) {
	for mode, want := range map[RefererMode]string{RefererNoQuery: "http://a/b", RefererOmit: "", RefererFull: "http://a/b?c#d"} {
		if got := member(t, line(&encoder{referer: mode}, &Entry{Referer: []byte("http://a/b?c#d")}), "referer"); got != want {
			t.Errorf("mode %d: %q, want %q", mode, got, want)
		}
	}
}

func TestPeerIsLoggedWhenItIsNotTheClient(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	for peer, want := range map[string]string{
		"192.0.2.1:80": "", "[::ffff:192.0.2.1]:80": "", "192.0.2.2:80": "192.0.2.2:80", "[fe80::1%eth0]:80": "[fe80::1]:80",
	} {
		if got := member(t, line(&encoder{}, &Entry{Client: client, Peer: netip.MustParseAddrPort(peer)}), "peer"); got != want {
			t.Errorf("peer %s: %q, want %q", peer, got, want)
		}
	}
}

func TestUnknownTLSNumbers(t *testing.T) {
	got := line(&encoder{}, &Entry{TLSVersion: 0x7f1c, TLSCipher: 0xfefe})
	if member(t, got, "tls_version") != "0x7f1c" || member(t, got, "tls_cipher") != "unknown" {
		t.Errorf("got %s", got)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	for _, s := range []string{strings.Repeat("a", 500), strings.Repeat("\x00", 500), strings.Repeat("\u00e9", 500), strings.Repeat("\xff", 500), strings.Repeat("a\n", 250)} {
		c := &encoder{maxField: 100}
		text := line(c, &Entry{Path: []byte(s)})
		got := member(t, text, "path")
		cut, ok := strings.CutSuffix(got, "…")
		if !ok || !strings.HasPrefix(strings.ToValidUTF8(s, "\ufffd"), strings.TrimRight(cut, "\ufffd")) || len(cut) == 0 {
			t.Errorf("%.10q… became %q", s, got)
		}
	}
	if got := member(t, line(&encoder{maxField: 100}, &Entry{Path: bytes.Repeat([]byte{'a'}, 100)}), "path"); len(got) != 100 {
		t.Errorf("a text of just the bound became %q", got)
	}
}

// An encoder that has seen other places writes what a new one would.
func TestPlacesAreNotMixedUp(t *testing.T) {
	old := &encoder{maxField: defaultMaxField}
	rng := rand.New(rand.NewPCG(1, 1))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	for range 5000 {
		n := fmt.Sprint(rng.IntN(30))
		e := &Entry{
			Listener: pick("", "0.0.0.0:80", "0.0.0.0:81"), Route: pick("", "HTTPRoute/a/"+n), Rule: pick("", "0", "1", "HTTPRoute/a/b/rules/1"+n),
			Cluster: pick("", "Backend/a/b", "Backend/a/"+n), Endpoint: pick("", "10.0.0.1:80", "10.0.0.2:80", "10.0.0."+n+":80"),
		}
		want := line(&encoder{}, e)
		if got := line(old, e); got != want {
			t.Fatalf("got  %swant %s", got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, n := range []int64{-1, 0, 9, 10, 99, 100, 999, 1000, math.MaxInt64, math.MinInt64} {
		if got := string(digits(nil, n)); got != strconv.FormatInt(n, 10) {
			t.Errorf("digits(%d) = %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "0.000", 0: "0.000", 999: "0.000", time.Microsecond: "0.001", 1234567: "1.234", time.Second: "1000.000", time.Hour: "3600000.000",
		time.Hour + 1005*time.Microsecond: "3600001.005", math.MaxInt64: "9223372036854.775",
	} {
		if got := string(millis(nil, d)); got != want {
			t.Errorf("millis(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestTimesFollowTheClock(t *testing.T) {
	c := &encoder{maxField: defaultMaxField}
	for _, start := range []time.Time{
		time.Unix(1_700_000_000, 999_999_999), time.Unix(1_700_000_001, 0), time.Unix(1_700_000_000, 1),
		time.Unix(0, 0), time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC),
	} {
		want := start.UTC().Format("2006-01-02T15:04:05.000000000Z")
		if got := member(t, string(c.append(nil, &Entry{Start: start})), "time"); got != want {
			t.Errorf("%v: %s", start, got)
		}
	}
}

// FuzzEncode compares with encoding/json, whose decoder must read back what its
// own encoder would have written, and looks for bytes that could end a line or
// steer a terminal.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		"", "plain", "\"}\n{\"status\":200", "\\", "\x00\x1f\x7f", "\xff\xfe", "\xed\xa0\x80", "\u2028\u2029", "\u0085\u009b31m", "\U0001f600", "é\xc3", "\xf0\x9f\x98",
		strings.Repeat("\n", 400),
	} {
		f.Add([]byte(s), []byte(s), uint8(0))
	}
	f.Add([]byte("a=b&c"), []byte("=&=&&&"), uint8(1))
	f.Add([]byte("a=b&c"), bytes.Repeat([]byte("&="), 300), uint8(1))
	f.Fuzz(func(t *testing.T, text, query []byte, mode uint8) {
		c := &encoder{query: QueryMode(mode % 3), referer: RefererMode(mode / 3 % 3), maxField: 256}
		e := &Entry{
			RequestID: text, Method: text, Scheme: string(text), Host: text, Path: text, Query: query, Protocol: string(text), Flags: text,
			Reason: string(text), Listener: string(text), Route: string(text), Rule: string(text), Cluster: string(text), Endpoint: string(text),
			UserAgent: text, Referer: query, TraceID: text, TLSVersion: uint16(mode), TLSServerName: string(text),
		}
		bound := c.bound(e)
		if bound > maxLine(c.maxField) {
			t.Fatalf("the bound is %d, at most %d", bound, maxLine(c.maxField))
		}
		out := c.append(make([]byte, 0, bound), e)
		if len(out) > bound {
			t.Fatalf("%d bytes, the bound is %d", len(out), bound)
		}
		if c.fits(e, bound-1) {
			t.Fatalf("fits into less than the bound, %d bytes", bound)
		}
		if bytes.IndexByte(out, '\n') != len(out)-1 || !utf8.Valid(out) {
			t.Fatalf("not one line of UTF-8: %q", out)
		}
		for _, r := range string(out[:len(out)-1]) {
			if r < 0x20 || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%U in %q", r, out)
			}
		}
		var m map[string]any
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		want := oracle(t, text)
		for _, name := range []string{"path", "user_agent", "route", "tls_server_name"} {
			got, _ := m[name].(string)
			if cut, ok := strings.CutSuffix(got, "…"); ok && got != want {
				if !strings.HasPrefix(want, cut) {
					t.Fatalf("%s was cut to %q, whole it is %q", name, got, want)
				}
			} else if name == "tls_server_name" && mode == 0 {
				continue // a plain connection
			} else if got != want {
				t.Fatalf("%s is %q, want %q", name, got, want)
			}
		}
	})
}

// oracle is what encoding/json makes of a text, there and back.
func oracle(t *testing.T, text []byte) string {
	b, err := json.Marshal(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}
