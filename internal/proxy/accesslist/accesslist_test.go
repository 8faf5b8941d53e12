package accesslist_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/accesslist"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Whoever holds a list sees its new content; lists that are gone are not found.
func TestDirectory(t *testing.T) {
	d := accesslist.New()
	list := func(broken bool, first, last string) []*ir.AddressList {
		return []*ir.AddressList{{Name: "n/p/addresses.deny", Policy: "n/p", Ranges: []ir.AddressRange{{First: addr(first), Last: addr(last)}}, Broken: broken}}
	}
	d.Apply(list(false, "10.0.0.0", "10.0.0.9"), nil)
	l := d.Addresses("n/p/addresses.deny")
	if found, broken := l.Has(addr("10.0.0.9")); !found || broken || l.Policy() != "n/p" {
		t.Errorf("found %t, broken %t", found, broken)
	}
	d.Apply(list(true, "10.0.1.0", "10.0.1.9"), nil)
	if found, broken := l.Has(addr("10.0.0.9")); found || !broken {
		t.Errorf("after a change: found %t, broken %t", found, broken)
	}
	if r, ok := l.Find(addr("10.0.1.4")); !ok || r.String() != "10.0.1.0-10.0.1.9" {
		t.Errorf("found by %s, %t", r, ok)
	}
	d.Apply(nil, []*ir.UserAgentList{{Name: "n/p/userAgents.deny", Policy: "n/p", Substrings: []string{"bot"}}})
	if d.Addresses("n/p/addresses.deny") != nil || d.UserAgents("other") != nil {
		t.Error("found a list that is not configured")
	}
	if found, _ := d.UserAgents("n/p/userAgents.deny").Has([]byte("A Bot")); !found {
		t.Error("a User-Agent is not found")
	}
}

func agents(l ir.UserAgentList) *accesslist.UserAgents {
	d := accesslist.New()
	d.Apply(nil, []*ir.UserAgentList{&l})
	return d.UserAgents(l.Name)
}

func TestUserAgents(t *testing.T) {
	l := agents(ir.UserAgentList{
		Exact: []string{"Exactly/1.0"}, Prefixes: []string{"Pre", "Übel"}, Substrings: []string{"she", "hers", "his", "a b"},
		Expressions: []string{`^curl/[0-6]\.`, `(python|ruby)-requests`, `\d{5}$`, `x+y+z+`, `k[io]ng`},
	})
	for agent, want := range map[string]bool{
		"exactly/1.0": true, "Exactly/1.0 ": false, "Exactly": false, "prefix": true, "a Prefix": false, "Übel/2": true,
		"ushers": true, "HE": false, "hi s": false, "THIS": true, "a  b": false, "xa by": true,
		"curl/6.1": true, "curl/7.1": false, "a curl/6.1": false, "Python-Requests/2": true, "ruby-request": false,
		"n 12345": true, "n 12345 ": false, "XXYYZZ": true, "xyyx": false, "\u212aong": true, "kang": false, "": false,
	} {
		if found, broken := l.Has([]byte(agent)); found != want || broken {
			t.Errorf("%q: %t, want %t", agent, found, want)
		}
	}
}

func TestUserAgentsAllocateNothing(t *testing.T) {
	l := agents(manyPatterns())
	agent := []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	if n := testing.AllocsPerRun(100, func() { l.Has(agent) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func manyPatterns() ir.UserAgentList {
	var l ir.UserAgentList
	for i := range 500 {
		l.Substrings = append(l.Substrings, fmt.Sprintf("badbot%d", i))
		l.Expressions = append(l.Expressions, fmt.Sprintf(`crawler-%d/[0-9]+\.[0-9]+`, i))
	}
	return l
}

// A thousand patterns beside the same in one regular expression.
func BenchmarkUserAgents(b *testing.B) {
	patterns := manyPatterns()
	agent := []byte("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	l := agents(patterns)
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Has(agent)
		}
	})
	one := regexp.MustCompile("(?i)" + strings.Join(append(patterns.Substrings, patterns.Expressions...), "|"))
	b.Run("one expression", func(b *testing.B) {
		for b.Loop() {
			one.Match(agent)
		}
	})
}

// A list says what comparing with its values one by one says.
func FuzzUserAgents(f *testing.F) {
	f.Add("exact", "pre", "sub\nstring", `a(bc|de)+f`, "xx subX abcdef")
	f.Add("", "", "she\nhers\nhe", `k[a-z]+s|long`, "u\u017fhers \u212aong")
	f.Fuzz(func(t *testing.T, exact, prefixes, substrings, expression, agent string) {
		if len(exact)+len(prefixes)+len(substrings)+len(expression)+len(agent) > 2000 {
			return
		}
		split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
		}
		l := ir.UserAgentList{Exact: split(exact), Prefixes: split(prefixes), Substrings: split(substrings)}
		re, err := regexp.Compile("(?i)" + expression)
		if err == nil && regexpSelf(expression) {
			l.Expressions = []string{expression}
		} else {
			re = nil
		}
		want := re != nil && re.MatchString(agent)
		low := fold(agent)
		for _, v := range l.Exact {
			want = want || low == fold(v)
		}
		for _, v := range l.Prefixes {
			want = want || strings.HasPrefix(low, fold(v))
		}
		for _, v := range l.Substrings {
			want = want || strings.Contains(low, fold(v))
		}
		if got, _ := agents(l).Has([]byte(agent)); got != want {
			t.Errorf("%q, %q, %q, %q: %q is found %t, want %t", l.Exact, l.Prefixes, l.Substrings, l.Expressions, agent, got, want)
		}
	})
}

// regexpSelf tells whether an expression is one without what stands before it.
func regexpSelf(e string) bool {
	_, err := regexp.Compile(e)
	return err == nil
}

// fold makes ASCII letters lower case, and no others.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
