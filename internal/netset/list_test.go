package netset_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/netset"
)

// Lists as they are published.
func TestLists(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"Spamhaus DROP": {"; Spamhaus DROP List\n; Expires: never\n192.0.2.0/24 ; SBL1\n198.51.100.0/25 ; SBL2\n", []string{"192.0.2.0/24", "198.51.100.0/25"}},
		"Spamhaus JSON": {
			`{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"apnic"}` + "\n" + `{"cidr":"2001:db8::/32","sblid":"SBL2","rir":"ripencc"}` + "\n" + `{"type":"metadata","records":2}`,
			[]string{"192.0.2.0/24", "2001:db8::/32"},
		},
		"FireHOL netset":                  {"#\n# firehol_level1\n# Maintainer\t\t: example\n192.0.2.0/24\n\n203.0.113.7\n", []string{"192.0.2.0/24", "203.0.113.7"}},
		"NGINX geo":                       {"192.0.2.0/24 1;\n2001:db8::/32   1; # comment\n", []string{"192.0.2.0/24", "2001:db8::/32"}},
		"NGINX access":                    {"deny 192.0.2.0/24;\ndeny  203.0.113.7;", []string{"192.0.2.0/24", "203.0.113.7"}},
		"ranges":                          {"192.0.2.0-192.0.2.9\r\n192.0.2.64 - 192.0.2.127 # half\r\n2001:db8::-2001:db8::f//x", []string{"192.0.2.0-192.0.2.9", "192.0.2.64/26", "2001:db8::/124"}},
		"byte order mark, no end of line": {"\ufeff203.0.113.7#x", []string{"203.0.113.7"}},
		"host bits":                       {"192.0.2.77/24", []string{"192.0.2.0/24"}},
		"nothing":                         {"\n  \n# only comments\n", nil},
	} {
		var b netset.Builder
		if err := b.AddList([]byte(c.text)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for r := range b.Set().All() {
			got = append(got, r.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestBadLines(t *testing.T) {
	for line, want := range map[string]string{
		"example.com":                    `"example.com" is not an IP address, network or range`,
		"192.0.2.0/33":                   `"192.0.2.0/33" is not a network in CIDR notation`,
		"192.0.2.010":                    `"192.0.2.010" is not an IP address, network or range`,
		"192.0.2.9-192.0.2.1":            "not before its beginning",
		"192.0.2.1-2001:db8::":           "of the same family",
		"192.0.2.1 -":                    `"" is not an IP address`,
		"fe80::1%eth0":                   "has a zone",
		"192.0.2.0/24 0;":                `"0;" after 192.0.2.0/24 is not a comment`,
		"192.0.2.0/24 198.51.100.0/24":   "is not a comment",
		"allow 192.0.2.0/24;":            `"allow" is not an IP address`,
		`{"cidr":`:                       "not an object of JSON",
		`{"asn":64496}`:                  `no member "cidr" or "ip"`,
		strings.Repeat("1", 4097):        "longer than 4096 bytes",
		strings.Repeat("ü", 100):         strings.Repeat("ü", 32) + "…",
		"192.0.2.1," + "198.51.100.0/24": "is not a network",
	} {
		var b netset.Builder
		err := b.AddList([]byte("# first\n192.0.2.1\n" + line + "\n192.0.2.2\n"))
		var bad *netset.LineError
		if !errors.As(err, &bad) || bad.Line != 3 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s in line 3", line, err, want)
		}
	}
}

func TestTooManyEntries(t *testing.T) {
	var b netset.Builder
	text := []byte(strings.Repeat("192.0.2.1\n", netset.MaxEntries+1))
	if err := b.AddList(text); err == nil || !strings.Contains(err.Error(), "line 1000001: there are more than 1000000 entries") {
		t.Error(err)
	}
}

// What is read means the same when it is written and read again, and a set has
// no more and no less than its lines.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		"192.0.2.0/24 ; SBL1\n", "{\"cidr\":\"2001:db8::/32\"}", "10.0.0.0/8 1;\n::1", "deny 10.0.0.1;", "1.2.3.4 - 1.2.3.9 # x", "::ffff:1.2.3.4/95\n::-::ffff:1.2.3.4", "\ufeff#",
	} {
		f.Add([]byte(s), []byte("0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, text, address []byte) {
		if len(text) > 1<<16 {
			return
		}
		var b netset.Builder
		if err := b.AddList(text); err != nil {
			return
		}
		set := b.Set()
		var again netset.Builder
		var ranges []netset.Range
		for r := range set.All() {
			ranges = append(ranges, r)
			if err := again.AddList(fmt.Appendln(nil, r)); err != nil {
				t.Fatalf("%s: %v", r, err)
			}
			if !set.Contains(r.First) && !r.First.Is4In6() || !set.Contains(r.Last) && !r.Last.Is4In6() {
				t.Fatalf("%s: an end is not in the set", r)
			}
		}
		copied := again.Set()
		if !slices.Equal(ranges, slices.Collect(copied.All())) {
			t.Fatalf("%v written and read again are %v", ranges, slices.Collect(copied.All()))
		}
		if len(address) > 16 {
			address = address[:16]
		}
		a, ok := netip.AddrFromSlice(address)
		if !ok {
			return
		}
		a = a.Unmap()
		want := slices.ContainsFunc(ranges, func(r netset.Range) bool {
			return r.First.Is4() == a.Is4() && !a.Less(r.First) && !r.Last.Less(a)
		})
		if got := set.Contains(a); got != want {
			t.Fatalf("Contains(%s) = %t", a, got)
		}
	})
}
