package opening_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/opening"
)

func TestDetect(t *testing.T) {
	for text, want := range map[string]opening.Kind{
		"":                                 opening.More,
		"G":                                opening.More,
		"GET ":                             opening.More,
		"GET /":                            opening.HTTP1,
		"POST /a HTTP/1.1\r\n":             opening.HTTP1,
		"OPTIONS * HTTP/1.1\r\n":           opening.HTTP1,
		"OPTIONS rtsp://a/b RTSP/1.0\r\n":  opening.Other,
		"GET http://a/ HTTP/1.1\r\n":       opening.HTTP1,
		"GET http://a/":                    opening.More,
		"CONNECT a:443 HTTP/1.1\r\n":       opening.HTTP1,
		"CONNECT {\"verbose\":false}\r\n":  opening.Other, // NATS
		"PROPFIND /x HTTP/1.1\n":           opening.HTTP1,
		"P":                                opening.More,
		"PRI * HTTP/2.0\r\n":               opening.More,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": opening.HTTP2,
		"PRI * HTTP/2.0\r\n\r\nXX":         opening.Other,
		"PUT /x":                           opening.HTTP1,
		"PATCH /x":                         opening.HTTP1,
		"EHLO there\r\n":                   opening.Other,
		"*1\r\n$4\r\nPING\r\n":             opening.Other, // Redis
		"PING\r\n":                         opening.Other,
		"get key\r\n":                      opening.Other, // memcached
		"\x00\x00\x00\x08\x04\xd2\x16\x2f": opening.Other, // PostgreSQL asks for TLS
		"\x16\x03":                         opening.More,
		"\x16\x03\x01\x02\x00\x01":         opening.TLS,
		"\x16\x03\x01\x02\x00\x02":         opening.Other,
		"\x16\x02":                         opening.Other,
		"SSH-2.0-OpenSSH_9.2\r\n":          opening.Other,
		"\x10\x10\x00\x04MQTT":             opening.Other,
		strings.Repeat("A", 33):            opening.Other,
		"A " + strings.Repeat("b", 1022):   opening.Other,
		"A " + strings.Repeat("b", 1000):   opening.More,
	} {
		if got := opening.Detect([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if got := opening.Detect(helloOf(t, &tls.Config{ServerName: "a.example"})); got != opening.TLS {
		t.Error("a true hello is", got)
	}
}

func TestLeans(t *testing.T) {
	for text, want := range map[string]opening.Kind{
		"": opening.Other, "G": opening.Other, "P": opening.Other, "PING": opening.Other, "PROPFIND ": opening.Other, "HELLO": opening.Other,
		"GE": opening.HTTP1, "GET ": opening.HTTP1, "PA": opening.HTTP1, "GET http://a": opening.HTTP1, "PR": opening.HTTP1, "PRI * HTTP/2.0\r\n\r\nS": opening.HTTP1,
		"\x16": opening.TLS, "\x16\x03\x01\x02": opening.TLS, "\x16\x02": opening.Other, "\x15\x03": opening.Other,
	} {
		if got := opening.Leans([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// FuzzDetect: what was decided stays decided when more bytes come, and there is
// always a decision in the end.
func FuzzDetect(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "PING\r\n", "POST x HTTP/1.0\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		decided := opening.More
		for n := range len(b) + 1 {
			k := opening.Detect(b[:n])
			if n >= opening.MaxDetectBytes && k == opening.More {
				t.Fatal("no decision after", n, "bytes")
			}
			if decided != opening.More && k != decided {
				t.Fatalf("%v after fewer bytes, %v after %d", decided, k, n)
			}
			decided = k
			if lean := opening.Leans(b[:n]); lean == opening.TLS && k == opening.Other {
				t.Fatalf("%q leans to TLS and is none", b[:n])
			}
		}
	})
}
