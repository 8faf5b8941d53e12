package members

import (
	"testing"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

func TestParsePort(t *testing.T) {
	for text, want := range map[string]distrib.Port{
		"9080":           {Number: 9080},
		"9080/grpc":      {Number: 9080, Protocol: "grpc"},
		"web:9080":       {Name: "web", Number: 9080},
		"web:9080/http2": {Name: "web", Number: 9080, Protocol: "http2"},
		// Prefixed protocols have a slash themselves.
		"9080/kubernetes.io/h2c": {Number: 9080, Protocol: "kubernetes.io/h2c"},
	} {
		if got, err := parsePort(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "web", "9080/", ":9080", "web:", "9080:web", "a:b:9080", " 9080", "Web:9080", "-w:9080", "w b:9080", "9080/a b", "9080/http/", "9080/ä", "a-:9080"} {
		if got, err := parsePort(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestParseUpstream(t *testing.T) {
	for text, want := range map[string]distrib.LocalListener{
		"ratings=:7001":                       {Address: "127.0.0.1", Port: 7001, Service: "shop/ratings"},
		"ratings.other=:7001":                 {Address: "127.0.0.1", Port: 7001, Service: "other/ratings"},
		"ratings:80=:7001":                    {Address: "127.0.0.1", Port: 7001, Service: "shop/ratings", ServicePort: 80},
		"ratings.other:80=10.0.0.1:7001":      {Address: "10.0.0.1", Port: 7001, Service: "other/ratings", ServicePort: 80},
		"ratings=[::1]:7001":                  {Address: "::1", Port: 7001, Service: "shop/ratings"},
		"ratings=[0:0:0:0:0:0:0:1]:7001":      {Address: "::1", Port: 7001, Service: "shop/ratings"},
		"ratings.other:80=[::ffff:1.2.3.4]:1": {Address: "::ffff:1.2.3.4", Port: 1, Service: "other/ratings", ServicePort: 80},
	} {
		if got, err := parseUpstream(text, "shop"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "ratings", "ratings=", "ratings=7001", "ratings=:0", "ratings=:x", "=:7001", "Ratings=:7001", "ratings:=:7001", "ratings:0=:7001",
		"ratings:http=:7001", "ratings=host:7001", "ratings.=:7001", ".other=:7001", "ratings.o_o=:7001", "ratings=::1:7001",
	} {
		if got, err := parseUpstream(text, "shop"); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
