package httpmsg_test

import (
	"net/url"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Where a query is well-formed, its parameters are those of net/url.
func TestForm(t *testing.T) {
	for _, query := range []string{"", "a=b", "a=b&c=d", "&&a&", "a=1=2", "%61=%2B+%c3%A4", "=x", "a+b=+", "a=b%26c&%3d=%25"} {
		want, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(query, err)
		}
		got := url.Values{}
		for pair, rest := httpmsg.NextPair([]byte(query)); pair != nil; pair, rest = httpmsg.NextPair(rest) {
			for name, values := range want {
				raw, ok := httpmsg.Parameter(pair, name)
				if !ok {
					continue
				}
				value := string(httpmsg.AppendDecoded(nil, raw))
				if !httpmsg.Escaped(raw) && value != string(raw) || !httpmsg.DecodesTo(raw, values[len(got[name])]) {
					t.Errorf("%q: %q is %q", query, raw, value)
				}
				got.Add(name, value)
			}
		}
		if got.Encode() != want.Encode() {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	for raw, want := range map[string]string{"%": "%", "%4": "%4", "%zz%41": "%zzA", "%%41": "%A"} {
		if got := string(httpmsg.AppendDecoded(nil, []byte(raw))); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
