package head

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// fields are lines of "name value".
func decode(fs *Fields, lines ...string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, " ")
		f := hpack.Field{Name: []byte(name), Value: []byte(value)}
		f.ID, f.Pseudo, f.Flaw = hpack.Identify(f.Name)
		if f.Flaw == hpack.FlawNone && !hpack.ValidValue(f.Value) {
			f.Flaw = hpack.FlawValue
		}
		fs.Add(&f)
	}
}

func TestRequests(t *testing.T) {
	get := []string{":method GET", ":scheme https", ":path /", ":authority a.example"}
	for name, c := range map[string]struct {
		lines []string
		want  Fault
	}{
		"plain":                     {get, None},
		"host for authority":        {append(get[:3:3], "host a.example"), None},
		"the same host twice":       {append(get[:4:4], "host a.example"), None},
		"another host":              {append(get[:4:4], "host b.example"), Host},
		"two hosts":                 {append(get[:3:3], "host a.example", "host a.example"), Host},
		"no host":                   {get[:3], Host},
		"no path":                   {[]string{get[0], get[1], get[3]}, Pseudo},
		"no method":                 {get[1:], Pseudo},
		"not a method":              {append([]string{":method G(T"}, get[1:]...), Method},
		"late":                      {append([]string{"a b"}, get...), Pseudo},
		"behind the host":           {append([]string{"host a.example"}, get...), Pseudo},
		"repeated":                  {append(get[:4:4], ":path /"), Pseudo},
		"unknown":                   {append([]string{":what x"}, get...), Pseudo},
		"of responses":              {append([]string{":status 200"}, get...), Pseudo},
		"bad value of one":          {append([]string{":authority a\x00"}, get[:3]...), FieldValue},
		"upper case":                {append(get[:4:4], "A b"), FieldName},
		"bad value":                 {append(get[:4:4], "a \x01"), FieldValue},
		"connection":                {append(get[:4:4], "connection close"), ConnectionField},
		"transfer encoding":         {append(get[:4:4], "transfer-encoding chunked"), ConnectionField},
		"te":                        {append(get[:4:4], "te trailers"), None},
		"other te":                  {append(get[:4:4], "te gzip"), ConnectionField},
		"two lengths":               {append(get[:4:4], "content-length 1", "content-length 1"), ContentLength},
		"too many":                  {append(get[:4:4], "a 1", "b 2", "c 3", "d 4", "e 5"), TooManyFields},
		"expectation":               {append(get[:4:4], "expect 100-continue"), None},
		"other expectation":         {append(get[:4:4], "expect tea"), Expectation},
		"scheme":                    {[]string{get[0], ":scheme ftp", get[2], get[3]}, Scheme},
		"path":                      {[]string{get[0], get[1], ":path a", get[3]}, Path},
		"path out of the root":      {[]string{get[0], get[1], ":path /../a", get[3]}, Path},
		"asterisk":                  {[]string{get[0], get[1], ":path *", get[3]}, Path},
		"asterisk of OPTIONS":       {[]string{":method OPTIONS", get[1], ":path *", get[3]}, None},
		"CONNECT":                   {[]string{":method CONNECT", ":authority a.example:443"}, None},
		"CONNECT without port":      {[]string{":method CONNECT", ":authority a.example"}, ConnectTarget},
		"CONNECT with path":         {[]string{":method CONNECT", ":authority a.example:443", ":path /"}, Pseudo},
		"extended CONNECT":          {append([]string{":method CONNECT", ":protocol websocket"}, get[1:]...), None},
		"extended, no authority":    {append([]string{":method CONNECT", ":protocol websocket"}, get[1:3]...), Pseudo},
		"protocol of another":       {append([]string{":protocol websocket"}, get...), Pseudo},
		"protocol that is no token": {append([]string{":method CONNECT", ":protocol a/b"}, get[1:]...), Pseudo},
	} {
		t.Run(name, func(t *testing.T) {
			var r httpmsg.Request
			fs := Fields{Header: &r.Header, Arena: &r.Arena, Most: 4, Allowed: OfRequest | Protocol, TakeHost: true}
			decode(&fs, c.lines...)
			fs.End(false)
			fs.Begin(&r)
			got := fs.Fault
			for _, step := range []func() Fault{
				func() Fault { return fs.Whole(&r) },
				func() Fault { return fs.ResolveHost(&r) },
				func() Fault { return fs.ResolveTarget(&r, false) },
				func() Fault { return Expects(&r) },
			} {
				if got == None {
					got = step()
				}
			}
			if got != c.want {
				t.Errorf("fault %d, not %d", got, c.want)
			}
			if got == None && string(r.Host) == "" {
				t.Error("no host")
			}
		})
	}
}

func TestCookiesAreJoined(t *testing.T) {
	var r httpmsg.Request
	fs := Fields{Header: &r.Header, Arena: &r.Arena, Most: 9}
	decode(&fs, "cookie a=1", "x y", "cookie b=2", "cookie c=3")
	fs.End(false)
	if got := string(r.Header.Get(httpmsg.NameCookie)); got != "a=1; b=2; c=3" || r.Header.Len() != 2 {
		t.Errorf("%q of %d fields", got, r.Header.Len())
	}
	fs.End(true)
	if fs.Fault != HeaderTooLarge {
		t.Errorf("fault %d", fs.Fault)
	}
}

func TestStatusAndLength(t *testing.T) {
	for line, want := range map[string]int{
		":status 200": 200, ":status 103": 103, ":status 599": 599, ":status 101": 0, ":status 099": 0, ":status 20": 0, ":status 2000": 0, ":status 2x0": 0, "a b": 0,
	} {
		var r httpmsg.Response
		fs := Fields{Header: &r.Header, Most: 9, Allowed: OfResponse}
		decode(&fs, line)
		got, fault := fs.Status()
		if got != want || (fault == StatusCode) != (want == 0) {
			t.Errorf("%s: %d, fault %d", line, got, fault)
		}
	}
	for line, want := range map[string]int64{"content-length 5": 5, "content-length 0": 0, "a b": -1, "content-length -1": 0, "content-length 5, 5": 0, "content-length +5": 0} {
		var r httpmsg.Response
		fs := Fields{Header: &r.Header, Most: 9}
		decode(&fs, line)
		got, fault := Length(&r.Header)
		if bad := strings.ContainsAny(line, "-+,") && want == 0 && line != "content-length 0"; fault == ContentLength != bad || !bad && got != want {
			t.Errorf("%s: %d, fault %d", line, got, fault)
		}
	}
}
