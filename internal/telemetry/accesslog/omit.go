package accesslog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Omitted is a set of fields that are left out of every line: those that say who
// somebody is.
type Omitted uint16

var omissible = []struct {
	name  string
	clear func(*Entry)
	// headers say the same, in lower case; claims: what credentials say of callers does.
	headers []string
	claims  bool
}{
	{"client", func(e *Entry) { e.Client = netip.Addr{} }, []string{"x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-client-ip", "x-cluster-client-ip"}, false},
	{"peer", func(e *Entry) { e.Peer = netip.AddrPort{} }, nil, false},
	{"user_agent", func(e *Entry) { e.UserAgent = nil }, []string{"user-agent"}, false},
	{"referer", func(e *Entry) { e.Referer = nil }, []string{"referer"}, false},
	{"consumer", func(e *Entry) { e.Consumer = "" }, nil, true},
	{"credential", func(e *Entry) { e.Credential = "" }, nil, false},
	{"subject", func(e *Entry) { e.Subject = "" }, nil, true},
	{"issuer", func(e *Entry) { e.Issuer = "" }, nil, true},
	{"client_id", func(e *Entry) { e.ClientID = "" }, nil, true},
	{"tls_server_name", func(e *Entry) { e.TLSServerName = "" }, nil, false},
}

// OmissibleFields are the names that ParseOmitted knows.
func OmissibleFields() []string {
	names := make([]string, len(omissible))
	for i := range omissible {
		names[i] = omissible[i].name
	}
	return names
}

// ParseOmitted makes a set of names.
func ParseOmitted(names []string) (set Omitted, err error) {
	known := OmissibleFields()
	for _, name := range names {
		i := slices.Index(known, strings.TrimSpace(name))
		if i < 0 {
			return 0, fmt.Errorf("%q is no field that can be left out; there are %s", name, strings.Join(known, ", "))
		}
		set |= 1 << i
	}
	return set, nil
}

// from takes the fields out of an entry. Without the client's address, that of the
// connection's other end would be logged in its place; it goes too where it is the
// client itself.
func (o Omitted) from(e *Entry) {
	if e.Peer.Addr() == e.Client {
		e.Peer = netip.AddrPort{}
	}
	for i := range omissible {
		if o&(1<<i) != 0 {
			omissible[i].clear(e)
		}
	}
}

// Header tells whether a header field says what is left out, by any case of its name.
func (o Omitted) Header(name string) bool {
	for i := range omissible {
		if o&(1<<i) == 0 {
			continue
		}
		for _, h := range omissible[i].headers {
			if strings.EqualFold(h, name) {
				return true
			}
		}
	}
	return false
}

// Claims tells whether what credentials say of callers would tell what is left out.
func (o Omitted) Claims() bool {
	for i := range omissible {
		if o&(1<<i) != 0 && omissible[i].claims {
			return true
		}
	}
	return false
}

// Apply takes the fields out of an entry, for those who show it elsewhere.
func (o Omitted) Apply(e *Entry) {
	if o != 0 {
		o.from(e)
	}
}
