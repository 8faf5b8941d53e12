package report

import (
	"fmt"

	"github.com/gridway/gridway/bench/stats"
)

// Verdict on an aim.
type Verdict string

// The verdicts.
const (
	Met         Verdict = "met"
	Missed      Verdict = "MISSED"
	NotMeasured Verdict = "not measured"
)

// Aim is a bound on a figure and what was found.
type Aim struct {
	What    string
	Bound   string
	Got     stats.Spread
	Unit    string
	Verdict Verdict
}

// peers that the aims compare with.
var peers = []string{"nginx", "haproxy"}

// Aims compares results with what the project wants of its speed.
func Aims(r *Results) []Aim {
	var aims []Aim
	atMost := func(what string, limit float64, unit string, got stats.Spread) {
		a := Aim{What: what, Bound: fmt.Sprintf("≤ %g %s", limit, unit), Got: got, Unit: unit, Verdict: NotMeasured}
		if got.N > 0 {
			a.Verdict = Missed
			if got.Median <= limit {
				a.Verdict = Met
			}
		}
		aims = append(aims, a)
	}
	of := func(name, a string, b ...string) stats.Spread {
		c := r.Case(name)
		return Ratio(c.Proxy(a), c.Best(b...))
	}
	for _, c := range []struct{ name, what string }{{"mesh-http", "HTTP/1.1"}, {"mesh-grpc", "gRPC"}, {"mesh-tcp", "raw TCP"}} {
		atMost("two sidecars with mutual TLS, "+c.what+", against the better pair of NGINX and HAProxy", 0.6, "×", of(c.name, "gridway", peers...))
	}
	var added stats.Spread
	if c := r.Case("mesh-http"); c != nil {
		if _, p99, ok := c.Added("gridway"); ok {
			added = stats.Of([]float64{float64(p99.Microseconds()) / 1000})
		}
	}
	atMost("two sidecars with mutual TLS, added to the p99 of 1,000 requests a second", 0.3, "ms", added)
	measured := func(name string) stats.Spread {
		if m := r.Measure(name); m != nil {
			return m.Value
		}
		return stats.Spread{}
	}
	for _, n := range []string{"1", "64", "512"} {
		atMost("plain HTTP/1.1, "+n+" connections, against the better of NGINX and HAProxy", 0.9, "×", of("plain-"+n, "gridway", peers...))
	}
	atMost("TLS 1.3, against the better of NGINX and HAProxy", 0.8, "×", of("tls-64", "gridway", peers...))
	for _, c := range []struct{ name, what string }{
		{"h2-64", "HTTP/2, 64 connections"}, {"h2-tls", "HTTP/2 over TLS 1.3"}, {"grpc", "gRPC, unary"}, {"grpc-stream", "gRPC, messages of streams"},
	} {
		atMost(c.what+", against the better of NGINX and HAProxy", 0.8, "×", of(c.name, "gridway", peers...))
	}
	atMost("everything on, against bare NGINX", 1, "×", of("everything", "gridway", "nginx-bare"))
	atMost("API keys, rate limits and everything on, against bare NGINX", 1, "×", of("front-door", "gridway", "nginx-bare"))
	atMost("metrics, access log and 1 % of traces, against a build that counts nothing", 1.08, "×", of("telemetry", "gridway", "gridway-uncounted"))
	atMost("against net/http's ReverseProxy", 0.25, "×", of("plain-64", "gridway", "reverseproxy"))
	many := "100,000 routes"
	if c := r.Case("routes"); c != nil {
		many = c.Title // a quick run has fewer
	}
	atMost(many+" against 10", 1.3, "×", of("routes", "gridway", "gridway-10"))
	atMost("one changed route among 10,000 serves, one file", 30, "ms", measured("change-file"))
	atMost("one changed route among 10,000 serves, folder", 30, "ms", measured("change-folder"))
	atMost("one changed endpoint among 100,000 serves", 100, "ms", measured("change-endpoint"))
	atMost("a new key among 100,000 consumers is accepted by another gateway", 1000, "ms", measured("key-made"))
	atMost("a revoked key among 100,000 consumers is refused by another gateway", 1000, "ms", measured("key-revoked"))
	atMost("failed requests over the reloads under load", 0, "", measured("reload-failures"))
	atMost("idle keep-alive connection", 6, "KiB", measured("idle-gridway"))
	return aims
}

// AnyMissed tells that an aim was measured and not reached.
func AnyMissed(aims []Aim) bool {
	for _, a := range aims {
		if a.Verdict == Missed {
			return true
		}
	}
	return false
}
