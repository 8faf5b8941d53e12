package opening_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/opening"
)

// helloOf is the first flight of a client of crypto/tls.
func helloOf(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, config).Handshake()
	b := make([]byte, 32<<10)
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// hello builds a ClientHello in one record from its parts.
func hello(session, suites, compressions, extensions []byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(append(body, byte(len(session))), session...)
	body = append(append(body, byte(len(suites)>>8), byte(len(suites))), suites...)
	body = append(append(body, byte(len(compressions))), compressions...)
	if extensions != nil {
		body = append(append(body, byte(len(extensions)>>8), byte(len(extensions))), extensions...)
	}
	return record(append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...))
}

func record(b []byte) []byte {
	return append([]byte{22, 3, 1, byte(len(b) >> 8), byte(len(b))}, b...)
}

func ext(kind uint16, body []byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind), byte(len(body) >> 8), byte(len(body))}, body...)
}

func sni(name string) []byte {
	entry := append([]byte{0, byte(len(name) >> 8), byte(len(name))}, name...)
	return ext(0, append([]byte{byte(len(entry) >> 8), byte(len(entry))}, entry...))
}

func plain(extensions ...[]byte) []byte {
	return hello(nil, []byte{0x13, 1}, []byte{0}, slices.Concat(extensions...))
}

// fragmented puts the message of one record into records of n bytes.
func fragmented(b []byte, n int) []byte {
	var out []byte
	for part := range slices.Chunk(b[5:], n) {
		out = append(out, record(part)...)
	}
	return out
}

func TestServerNames(t *testing.T) {
	grease := ext(0x1a1a, []byte{0})
	for name, c := range map[string]struct {
		b    []byte
		want string
		ech  bool
	}{
		"crypto/tls":       {helloOf(t, &tls.Config{ServerName: "db.example"}), "db.example", false},
		"tls 1.2":          {helloOf(t, &tls.Config{ServerName: "db.example", MaxVersion: tls.VersionTLS12}), "db.example", false},
		"no name":          {helloOf(t, &tls.Config{InsecureSkipVerify: true}), "", false},
		"no extensions":    {hello(nil, []byte{0, 1}, []byte{0}, nil), "", false},
		"capitals":         {plain(sni("DB.Example")), "db.example", false},
		"underscore":       {plain(sni("_x.db-1.example")), "_x.db-1.example", false},
		"behind GREASE":    {plain(grease, ext(0x0a0a, nil), sni("a.example"), ext(0x2a2a, []byte{1, 2})), "a.example", false},
		"outer name":       {plain(sni("public.example"), ext(0xfe0d, []byte{0, 0, 1})), "public.example", true},
		"in pieces":        {fragmented(plain(sni("a.example")), 7), "a.example", false},
		"piece of a type":  {fragmented(plain(sni("a.example")), 2)[:0], "", false},
		"long session":     {hello(make([]byte, 32), []byte{0x13, 1}, []byte{0}, sni("a.example")), "a.example", false},
		"version 1.0 wrap": {append([]byte{22, 3, 1}, plain(sni("a.example"))[3:]...), "a.example", false},
	} {
		if len(c.b) == 0 {
			continue
		}
		got, err := opening.ParseHello(c.b)
		if err != nil || string(got.ServerName) != c.want || got.ECH != c.ech {
			t.Errorf("%s: %q, %v, ECH %v", name, got.ServerName, err, got.ECH)
		}
		for n := range c.b { // each beginning asks for more, and for nothing else
			if _, err := opening.ParseHello(c.b[:n]); err != opening.ErrMore {
				t.Fatalf("%s: %d of %d bytes: %v", name, n, len(c.b), err)
			}
		}
	}
}

func TestBrokenHellos(t *testing.T) {
	good := plain(sni("a.example"))
	long := append([]byte{22, 3, 1, 64, 0, 1, 0, 64, 1}, make([]byte, 10)...)
	for reason, b := range map[string][]byte{
		"an empty record":                      {22, 3, 1, 0, 0},
		"a record longer than 16 KiB":          {22, 3, 1, 64, 1},
		"longer than 16 KiB":                   long,
		"more bytes in its record than it has": record(append(slices.Clone(good[5:]), 0)),
		"an unknown version":                   record(append([]byte{1, 0, 0, 41, 2}, make([]byte, 40)...)),
		"cut short":                            record([]byte{1, 0, 0, 3, 3, 3, 0}),
		"a session ID longer than 32 bytes":    hello(make([]byte, 33), []byte{0, 1}, []byte{0}, nil),
		"a broken list of cipher suites":       hello(nil, []byte{1}, []byte{0}, nil),
		"no compression method":                hello(nil, []byte{0, 1}, nil, nil),
		"an extension cut short":               plain(ext(7, []byte{1, 2})[:5]),
		"the same extension twice":             plain(sni("a.example"), sni("b.example")),
		"a broken list of server names":        plain(ext(0, []byte{0, 0})),
		"a server name of an unknown type":     plain(ext(0, []byte{0, 4, 1, 0, 1, 'a'})),
		"a server name longer than 255 bytes":  plain(sni(strings.Repeat("a", 256))),
		"a server name that is not a hostname": plain(sni("a\x00.example")),
		"spread over too many records":         fragmented(plain(sni("a.example")), 1),
	} {
		_, err := opening.ParseHello(b)
		var broken *opening.Error
		if !errors.As(err, &broken) || broken.Reason != reason {
			t.Errorf("%s: got %v", reason, err)
		}
	}
	for _, name := range []string{".a", "a.", "a..b", "a b", "[::1]", "ü.example"} {
		if _, err := opening.ParseHello(plain(sni(name))); err == nil {
			t.Errorf("%q is no hostname", name)
		}
	}
	var many []byte
	for i := range 129 {
		many = append(many, ext(uint16(100+i), nil)...)
	}
	if _, err := opening.ParseHello(plain(many)); err == nil {
		t.Error("129 extensions were let through")
	}
	for _, b := range []string{"GET / HTTP/1.1\r\n", "\x16\x02\x00\x00\x05\x01", "\x16\x03\x01\x00\x05\x02", "\x15\x03\x01\x00\x02\x01\x00"} {
		if _, err := opening.ParseHello([]byte(b)); err != opening.ErrNotTLS {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	b := helloOf(t, &tls.Config{ServerName: "db.example"})
	if n := testing.AllocsPerRun(100, func() { opening.Detect(b); opening.Leans(b); opening.ParseHello(b) }); n != 0 {
		t.Error(n, "allocations")
	}
}

// FuzzHello: however the bytes are cut the answer is the same, and it is that of
// crypto/tls if that takes the hello.
func FuzzHello(f *testing.F) {
	for _, b := range [][]byte{
		plain(sni("a.example"), ext(0xfe0d, []byte{0})), plain(ext(0x1a1a, nil), sni("A.example")), hello(nil, []byte{0, 1}, []byte{0}, nil),
		fragmented(plain(sni("a.example")), 9),
		{22, 3, 1},
		[]byte("GET /"),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := opening.ParseHello(b)
		if len(b) >= opening.MaxHelloBytes && err == opening.ErrMore {
			t.Fatal("asks for more than MaxHelloBytes")
		}
		if err != nil {
			return
		}
		for _, c := range h.ServerName {
			if c >= 'A' && c <= 'Z' || c <= ' ' || c > '~' {
				t.Fatalf("server name %q", h.ServerName)
			}
		}
		for n := range b {
			if cut, err := opening.ParseHello(b[:n]); err == nil && !bytes.Equal(cut.ServerName, h.ServerName) {
				t.Fatalf("%d bytes give %q, all give %q", n, cut.ServerName, h.ServerName)
			}
		}
		if name, ok := oracle(b); ok && strings.ToLower(name) != string(h.ServerName) {
			t.Fatalf("server name %q, crypto/tls reads %q", h.ServerName, name)
		}
	})
}

// Whatever byte of a hello is changed: where this parser and crypto/tls both
// accept it, they read the same name.
func TestAgreesWithCryptoTLS(t *testing.T) {
	accepted := 0
	for _, good := range [][]byte{
		helloOf(t, &tls.Config{ServerName: "db.example", MaxVersion: tls.VersionTLS12}), fragmented(helloOf(t, &tls.Config{ServerName: "A.example"}), 200),
	} {
		for i := range good {
			for _, flip := range []byte{0x01, 0x20, 0x80} {
				b := slices.Clone(good)
				b[i] ^= flip
				h, err := opening.ParseHello(b)
				name, ok := oracle(b)
				if err != nil || !ok {
					continue
				}
				accepted++
				if strings.ToLower(name) != string(h.ServerName) {
					t.Errorf("byte %d ^ %#x: server name %q, crypto/tls reads %q", i, flip, h.ServerName, name)
				}
			}
		}
	}
	if accepted < 1000 {
		t.Error("only", accepted, "hellos were accepted by both")
	}
}

// oracle is the server name that crypto/tls reads, if it reads the hello at all.
func oracle(b []byte) (name string, ok bool) {
	done := errors.New("seen")
	tls.Server(&scripted{Reader: bytes.NewReader(b)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name, ok = h.ServerName, true
			return nil, done
		},
	}).Handshake()
	return name, ok
}

// scripted is a connection that says what it has and hears nothing.
type scripted struct {
	*bytes.Reader
	net.Conn
}

func (s *scripted) LocalAddr() net.Addr              { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return nil }
func (s *scripted) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
