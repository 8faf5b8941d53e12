package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Who may say where a request comes from, and what becomes of those who lie.
func TestForwardedSpoofing(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		fmt.Fprintf(w, "xff=%s proto=%s host=%s prefix=%s std=%s", strings.Join(h.Values("X-Forwarded-For"), "|"),
			h.Get("X-Forwarded-Proto"), h.Get("X-Forwarded-Host"), h.Get("X-Forwarded-Prefix"), strings.Join(h.Values("Forwarded"), "|"))
	})
	const (
		both = "xForwarded: true, forwarded: true"
		own  = `for=127.0.0.1;host="a.example";proto=http`
	)
	lies := []string{
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: /evil", "X-Forwarded-Port: 1",
		"Forwarded: for=7.7.7.7;host=evil.example;proto=https",
	}
	for _, c := range []struct {
		name, forwarded string
		sent            []string
		client, want    string
	}{
		{"nobody is trusted", both, lies, "127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=" + own},
		{"and nothing is sent", "xForwarded: false", lies, "127.0.0.1", "xff= proto= host= prefix= std="},
		{"peer is no trusted proxy", "trustedProxies: [10.0.0.0/8], " + both, lies, "127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=" + own},

		// A proxy that maintains X-Forwarded-For passes on what the client writes into Forwarded.
		{
			"the other header is not believed", "trustedHops: 1, " + both,
			[]string{"X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-Proto: https", "Forwarded: for=7.7.7.7"},
			"1.2.3.4", "xff=6.6.6.6, 1.2.3.4, 127.0.0.1 proto=https host=a.example prefix= std=for=1.2.3.4, " + own,
		},
		{
			"nor if the believed one is missing", "trustedHops: 1, " + both,
			[]string{"Forwarded: for=7.7.7.7;proto=https"},
			"127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=" + own,
		},
		{
			"nor passed on", "trustedHops: 1",
			[]string{"X-Forwarded-For: 1.2.3.4", "Forwarded: for=7.7.7.7"},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"the other way round", "from: Forwarded, trustedHops: 1, " + both,
			append(lies, "Forwarded: for=1.2.3.4;host=shop.example;proto=https"),
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=https host=shop.example prefix= std=for=7.7.7.7;host=evil.example;proto=https, for=1.2.3.4;host=shop.example;proto=https, " + own,
		},
		{
			"and without", "from: Forwarded, trustedHops: 1, " + both, lies[:5],
			"127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=" + own,
		},
		{
			"two hops, several lines", "from: Forwarded, trustedHops: 2",
			[]string{"Forwarded: for=6.6.6.6, for=1.2.3.4:99;proto=https", `Forwarded: For="[2001:db8::1]:4711";by=_x`},
			"1.2.3.4", "xff=1.2.3.4, 2001:db8::1, 127.0.0.1 proto=https host=a.example prefix= std=",
		},
		{
			"trusted proxies", "from: Forwarded, trustedProxies: [127.0.0.0/8, 10.0.0.0/8]",
			[]string{"Forwarded: for=6.6.6.6;proto=gopher, for=1.2.3.4, for=10.0.0.1;host=inner.example"},
			"1.2.3.4", "xff=1.2.3.4, 10.0.0.1, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		// What the client wrote must not swallow what the proxy added.
		{
			"a quote left open", "from: Forwarded, trustedHops: 1",
			[]string{`Forwarded: for="6.6.6.6, for=1.2.3.4`},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"an escape left open", "from: Forwarded, trustedHops: 1",
			[]string{`Forwarded: for="6.6.6.6\, for="1.2.3.4"`},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"a comma in quotes", "from: Forwarded, trustedHops: 1",
			[]string{`Forwarded: for=1.2.3.4;host="a, for=6.6.6.6"`},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"hidden", "from: Forwarded, trustedHops: 2",
			[]string{"Forwarded: for=6.6.6.6, for=_hidden, for=1.2.3.4"},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"unknown", "from: Forwarded, trustedHops: 1",
			[]string{"Forwarded: for=6.6.6.6, for=unknown"},
			"127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"twice", "from: Forwarded, trustedHops: 1",
			[]string{"Forwarded: for=6.6.6.6;for=1.2.3.4"},
			"127.0.0.1", "xff=127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"empty elements", "from: Forwarded, trustedHops: 1",
			[]string{"Forwarded: , for=1.2.3.4 , ,"},
			"1.2.3.4", "xff=1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
		{
			"no address", "trustedHops: 2",
			[]string{"X-Forwarded-For: 6.6.6.6, fe80::1%eth0, 1.2.3.4"},
			"1.2.3.4", "xff=6.6.6.6, fe80::1%eth0, 1.2.3.4, 127.0.0.1 proto=http host=a.example prefix= std=",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := serveYAML(t, edgeWith("client: {forwarded: {"+c.forwarded+"}}", "", []string{app.addr}))
			conn := g.dial()
			conn.send("GET / HTTP/1.1\r\nHost: a.example\r\n" + strings.Join(append(c.sent, ""), "\r\n") + "\r\n")
			_, body := conn.mustRespond("GET")
			if body != c.want {
				t.Errorf("the endpoint learned\n%s, want\n%s", body, c.want)
			}
			g.logged(fmt.Sprintf(`"client":%q`, c.client))
		})
	}
}
