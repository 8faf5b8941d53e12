package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzUpgrade: a request offers what is an item of its Upgrade field, whatever the
// case of its letters, of which there are no others than those of ASCII; and a 101
// may name nothing that was not offered (RFC 9110 §7.8).
func FuzzUpgrade(f *testing.F) {
	for _, s := range [][2]string{
		{"websocket", "websocket"},
		{"h2c, WebSocket", "websocket"},
		{" ,\twebsocket\t,", "WEBSOCKET"},
		{"websockets", "websocket"},
		{"web socket", "web"},
		{"web\u017focket", "websocket"},
		{"websoc\u212aet", "websocket"},
		{"websocket/13", "websocket"},
		{"a,b,c", "c, a"},
		{"a", "a, b"},
		{"", ""},
		{",", ","},
		{`"a,websocket"`, "websocket"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, asked, answered string) {
		items := func(s string) []string {
			var out []string
			for item := range strings.SplitSeq(s, ",") {
				if item = strings.Trim(item, " \t"); item != "" {
					out = append(out, strings.Map(func(r rune) rune { // byte for byte, as Latin 1
						if 'A' <= r && r <= 'Z' {
							return r + 'a' - 'A'
						}
						return r
					}, latin1(item)))
				}
			}
			return out
		}
		offered := items(asked)
		for _, p := range []string{"websocket", "h2c", answered} {
			want := slices.Contains(offered, strings.Join(items(p), ","))
			if strings.Trim(p, " \t") == p && !strings.Contains(p, ",") && p != "" && offers([]byte(asked), []byte(p)) != want {
				t.Fatalf("%q offers %q: %v", asked, p, !want)
			}
		}
		want := true
		for _, item := range items(answered) {
			want = want && slices.Contains(offered, item)
		}
		var x Exchange
		x.Req.Upgrade, x.Resp.Upgrade, x.Resp.Version = []byte(asked), []byte(answered), httpmsg.HTTP11
		if got := x.agreed(); got != (want && len(items(answered)) > 0) {
			t.Fatalf("%q was asked for, and a switch to %q taken: %v", asked, answered, got)
		}
		if x.Resp.Version = httpmsg.HTTP10; x.agreed() {
			t.Fatal("HTTP/1.0 has no 101")
		}
	})
}

// latin1 makes a character of each byte.
func latin1(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}
