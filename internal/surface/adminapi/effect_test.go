package adminapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// reckoner answers what it was asked, and "wrong" with an error.
type reckoner struct{}

func (reckoner) Effect(_ context.Context, c adminapi.Candidate) (*adminapi.Effect, error) {
	switch string(c.Text) {
	case "wrong":
		return nil, &adminapi.CandidateError{Why: "there is no object in it"}
	case "late":
		return nil, errors.New("no revision is in service yet")
	}
	e := &adminapi.Effect{Valid: true, Revision: 7}
	for _, name := range append([]string{string(c.Text)}, c.Delete...) {
		e.Objects = append(e.Objects, delta.ObjectChange{Op: delta.Added, Object: name})
	}
	return e, nil
}

func (reckoner) Schema() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(`{"type":"object"}`))
	_ = w.Close()
	return b.Bytes()
}

func TestEffect(t *testing.T) {
	base := start(t, newProcess().options())
	c := newClient(t, client.Options{Address: base})
	e, err := c.Effect(t.Context(), []byte("kind: X"), "HTTPRoute/default/cart", "Backend/a/b")
	if err != nil || !e.Valid || len(e.Objects) != 3 || e.Objects[2].Object != "Backend/a/b" {
		t.Fatalf("%+v %v", e, err)
	}
	yaml := http.Header{"Content-Type": {"application/yaml"}}
	for name, x := range map[string]struct {
		r      request
		status int
		says   string
	}{
		"lists are lists": {request{method: "POST", path: "/v1/effect", body: "x", header: yaml}, 200, `"behaviour":[]`},
		"a wrong one":     {request{method: "POST", path: "/v1/effect", body: "wrong", header: yaml}, 400, "no object in it"},
		"not yet":         {request{method: "POST", path: "/v1/effect", body: "late", header: yaml}, 503, "not be reckoned"},
		"another type":    {request{method: "POST", path: "/v1/effect", body: "x", header: http.Header{"Content-Type": {"text/plain"}}}, 415, "application/yaml"},
		"too long":        {request{method: "POST", path: "/v1/effect", body: strings.Repeat(" ", 10<<20+1), header: yaml}, 413, "larger"},
		"too many":        {request{method: "POST", path: "/v1/effect?" + strings.Repeat("delete=a&", 1001), body: "x", header: yaml}, 400, "1000"},
	} {
		status, _, body := x.r.do(t, base)
		if status != x.status || !strings.Contains(body, x.says) {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	for _, encoding := range []string{"identity", "gzip"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/schema", nil)
		if err != nil {
			t.Fatal(err)
		}
		if encoding == "identity" { // the client asks for gzip by itself, and unpacks it
			req.Header.Set("Accept-Encoding", encoding)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]string
		err = json.NewDecoder(resp.Body).Decode(&schema)
		_ = resp.Body.Close()
		if err != nil || schema["type"] != "object" || resp.Header.Get("Content-Type") != "application/schema+json" || resp.Uncompressed != (encoding == "gzip") {
			t.Errorf("%s: %v %v %v", encoding, schema, resp.Header, err)
		}
	}
}

func TestBehaviourIsGrouped(t *testing.T) {
	var list []delta.RequestChange
	for i := range 1500 {
		list = append(list, delta.RequestChange{Method: "GET", URL: "http://a/", Aspects: []delta.Aspect{{Name: "result", Old: "a", New: strings.Repeat("b", i%300)}}})
	}
	e := &adminapi.Effect{}
	e.SetBehaviour(list)
	if len(e.Behaviour) != 200 || e.Omitted != 100 || e.Behaviour[0].Count != 5 || len(e.Behaviour[0].Examples) != 5 {
		t.Fatal(len(e.Behaviour), e.Omitted, e.Behaviour[0].Count)
	}
	e.Unfinish("first")
	e.Unfinish("and %s", "second")
	if e.Unfinished != "first; and second" {
		t.Error(e.Unfinished)
	}
}
