package accesslog_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

func TestOmitted(t *testing.T) {
	entry := func() *accesslog.Entry {
		return &accesslog.Entry{
			Client: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddrPort("192.0.2.1:4711"), UserAgent: []byte("curl"), Referer: []byte("https://a.example/"),
			ConsumerNamespace: "default", Consumer: "acme", Credential: "first", AuthMethod: "jwt", Subject: strings.Repeat("s", 300), Issuer: "https://idp.example", ClientID: "web",
			TLSServerName: "shop.example",
		}
	}
	logged := func(names ...string) string {
		set, err := accesslog.ParseOmitted(names)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		l := accesslog.New(&out, accesslog.Options{Omit: set})
		l.Log(entry())
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all := logged()
	for _, name := range accesslog.OmissibleFields() {
		if name == "peer" { // the same as the client
			continue
		}
		if !strings.Contains(all, `"`+name+`":`) {
			t.Errorf("%s is not there: %s", name, all)
		}
		if got := logged(name); strings.Contains(got, `"`+name+`":`) || strings.Contains(got, `"peer":`) {
			t.Errorf("without %s: %s", name, got)
		}
	}
	if strings.Contains(all, strings.Repeat("s", 257)) {
		t.Error("the subject has no bound")
	}
	if got := logged(accesslog.OmissibleFields()...); !strings.Contains(got, `"auth_method":"jwt"`) || strings.Contains(got, "acme") || strings.Contains(got, "192.0.2.1") {
		t.Error(got)
	}
	for _, c := range []struct {
		omitted, header string
		hides, claims   bool
	}{
		{"user_agent", "User-Agent", true, false},
		{"referer", "REFERER", true, false},
		{"client", "x-forwarded-for", true, false},
		{"client", "User-Agent", false, false},
		{"peer", "X-Forwarded-For", false, false},
		{"subject", "Referer", false, true},
		{"consumer", "Referer", false, true},
		{"credential", "Referer", false, false},
	} {
		set, err := accesslog.ParseOmitted([]string{c.omitted})
		if err != nil || set.Header(c.header) != c.hides || set.Claims() != c.claims {
			t.Errorf("%s: %s is hidden: %v, claims: %v, %v", c.omitted, c.header, set.Header(c.header), set.Claims(), err)
		}
	}
	if _, err := accesslog.ParseOmitted([]string{"subject", "pasword"}); err == nil || !strings.Contains(err.Error(), `"pasword" is no field that can be left out; there are client, peer`) {
		t.Error(err)
	}
}
