package shield_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/shield"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func withBody(headers ...string) *filter.Exchange {
	x := request("POST", "10.0.0.1", headers...)
	x.Req.Body = httpmsg.BodyChunked
	return x
}

func TestContentTypes(t *testing.T) {
	s, n := build(t, ir.Shield{Body: &ir.BodyShield{Policy: "d/a", ContentTypes: []string{"application/json", "image/*", "application/*+json"}}}, nil, nil)
	const refused = "415 ContentTypeDenied d/a body.contentTypes"
	for _, c := range []struct{ value, want string }{
		{"application/json", "pass"},
		{"Application/JSON; charset=utf-8", "pass"},
		{"image/png", "pass"},
		{"application/problem+json", "pass"},
		{"application/jsonx", refused},
		{"image/", refused},
		{"image", refused},
		{"application/+json", refused},
		{"text/plain", refused},
		{"", refused},
		{"text/plain, application/json", refused},
		{"application/xml+json ;a=b", "pass"},
	} {
		x := withBody("Content-Type", c.value)
		if got := result(s.OnRequest(x), x); got != c.want {
			t.Errorf("%q: %s, want %s", c.value, got, c.want)
		}
	}
	x := withBody("Content-Type", "application/json", "Content-Type", "application/json")
	if got := result(s.OnRequest(x), x); got != refused {
		t.Errorf("two of them: %s", got)
	}
	x = withBody()
	if got := result(s.OnRequest(x), x); got != refused {
		t.Errorf("none: %s", got)
	}
	for _, kind := range []httpmsg.BodyKind{httpmsg.BodyNone, httpmsg.BodyLength} {
		x = request("POST", "10.0.0.1", "Content-Type", "text/plain")
		x.Req.Body = kind
		if got := result(s.OnRequest(x), x); got != "pass" {
			t.Errorf("no body: %s", got)
		}
	}
	if n["d/a denied"] != 9 || n["d/a allowed"] != 7 {
		t.Errorf("%v", n)
	}
}

func TestJSON(t *testing.T) {
	c := counts{}
	b := shield.NewBody(&ir.BodyShield{Policy: "d/a", JSON: &ir.JSONLimits{Bytes: 40, Depth: 2, UniqueNames: true}}, shield.Deps{
		Policy: func(name string) filter.Decisions { return counter{c, name} },
	})
	for _, test := range []struct{ media, coding, body, want string }{
		{"application/json", "", `{"a":[1,2]}`, "pass"},
		{"application/json", "identity", `[1]`, "pass"},
		{"application/vnd.api+json; a=b", "", `{"a":{"b":[]}}`, "400 JSONLimit: the request's body: objects and arrays are nested deeper than 2, at byte 11"},
		{"text/json", "", `{"a":`, "400 BadRequest: the request's body: the text ends before the value is complete, at byte 6"},
		{"application/json", "", `{"a":1,"a":2}`, "400 BadRequest: the request's body: an object has the same name twice, at byte 10"},
		{"application/json", "", `{"a":"` + strings.Repeat("x", 40) + `"}`, "413 BodyTooLarge: the request's body is longer than its type may be"},
		{"application/json", "", ``, "400 BadRequest: the request's body: the text ends before the value is complete, at byte 1"},
		{"application/x-ndjson", "", "{\"a\":1}\n{\"a\":1}\n", "pass"},
		{"application/jsonl", "", "{\"a\":1}\n{", "400 BadRequest: the request's body: the text ends before the value is complete, at byte 10"},
		{"text/plain", "gzip", `{"a":`, "pass"},
		{"", "", `{`, "pass"},
		{"application/json", "gzip", `x`, "415 ContentTypeDenied: the body must have no Content-Encoding, since it is looked at"},
	} {
		x := withBody("Content-Type", test.media)
		if test.coding != "" {
			x.Req.Header.Add([]byte("Content-Encoding"), []byte(test.coding))
		}
		if got := through(b, x, test.body); got != test.want {
			t.Errorf("%s %s %q: %s, want %s", test.media, test.coding, test.body, got, test.want)
		}
	}
	if c["d/a denied"] != 7 {
		t.Errorf("%v", c)
	}
	x := withBody("Content-Type", "application/json")
	x.Req.Body, x.Req.Length = httpmsg.BodyLength, 41
	if got := through(b, x, "[]"); !strings.HasPrefix(got, "413 BodyTooLarge") || x.PolicyRule != "body.json" {
		t.Errorf("announced to be too long: %s, %s", got, x.PolicyRule)
	}
}

// through has the filter read a body, in single bytes, and says what became of it.
func through(b *shield.Body, x *filter.Exchange, body string) string {
	if b.OnRequest(x) == filter.Reply {
		return fmt.Sprintf("%d %s: %s", x.Local.Status, x.Local.Reason, x.Local.Detail)
	}
	r := iotest.OneByteReader(strings.NewReader(body))
	for _, f := range x.RequestBodyFuncs() {
		r = f(r)
	}
	got, err := io.ReadAll(r)
	var refused *filter.Refusal
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("%d %s: %s", refused.Status, refused.Reason, refused.Detail)
	case err != nil || string(got) != body:
		return fmt.Sprintf("%q, %v", got, err)
	}
	return "pass"
}
