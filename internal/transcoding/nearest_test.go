package transcoding_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/transcoding"
)

// Whatever is missed is missed for a reason that is true: what has none matches.
func TestNearest(t *testing.T) {
	s, err := transcoding.Parse(set(t, compile(t, map[string]string{"a.proto": `
syntax = "proto3";
package a;
import "google/api/annotations.proto";
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{name=items/*}" }; }
  rpc Watch(M) returns (M) { option (google.api.http) = { get: "/v1/{name=items/*}:watch" }; }
  rpc Make(M) returns (M) { option (google.api.http) = { post: "/v1/items" body: "*" }; }
  rpc Page(M) returns (M) { option (google.api.http) = { get: "/pages/{name=**}" }; }
}
message M { string name = 1; }
`})...), transcoding.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, want string }{
		{"DELETE", "/v1/items/1", `a.S.Get: the method is DELETE, not GET`},
		{"GET", "/v1/items", `a.S.Make: the method is GET, not POST`},
		{"GET", "/v2/items/1", `a.S.Get: segment 1 is "v2", not "v1"`},
		{"GET", "/v1/items/1/parts", `a.S.Get: the path goes on after segment 3`},
		{"POST", "/v1/items/1:watch", `a.S.Watch: the method is POST, not GET`},
		{"GET", "/v1/items/", `a.S.Get: segment 3 is empty`},
		{"POST", "/v1/%zz", `a.S.Get: the percent-encoding of segment 2 is not valid`},
		{"POST", "/pages/a/b", `a.S.Page: the method is POST, not GET`},
		{"POST", "/", `a.S.Get: the path ends before "v1"`},
	} {
		if _, _, ok := s.Find(c.method, c.path); ok {
			t.Errorf("%s %s matches", c.method, c.path)
			continue
		}
		got := s.Nearest(c.method, c.path, 2)
		if len(got) != 2 || got[0].Name+": "+got[0].Why != c.want {
			t.Errorf("%s %s: %d, %s: %s; want %s", c.method, c.path, len(got), got[0].Name, got[0].Why, c.want)
		}
	}
	// All of a path's bindings but the one that matches are missed.
	for _, path := range []string{"/v1/items/1", "/v1/items/1:watch", "/pages", "/pages/a/b", "/pages/a:b"} {
		m, _, ok := s.Find("GET", path)
		var missed []string
		for _, miss := range s.Nearest("GET", path, 10) {
			missed = append(missed, miss.Name)
		}
		if !ok || strings.Contains(strings.Join(missed, " "), m.Name) {
			t.Errorf("%s: %v matches, %v missed it", path, m.Name, missed)
		}
	}
	if s.Nearest("GET", "x", 10) != nil || s.Nearest("GET", strings.Repeat("/x", 1000), 10) != nil {
		t.Error("no path")
	}
}

func TestPreview(t *testing.T) {
	s := library(t)
	m, _, ok := s.Find("PATCH", "/v1/shelves/a%20b/books/2")
	if !ok {
		t.Fatal("no match")
	}
	const want = `{"book":{"name":"shelves/a b/books/2"},"updateMask":"title"}`
	if text, err := s.Preview(&m, &transcoding.JSON{}, "update_mask=title"); err != nil || text != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	if v := m.Variables(); len(v) != 1 || v[0] != (transcoding.Variable{Field: "book.name", Value: "shelves/a b/books/2"}) {
		t.Errorf("%v", v)
	}
	if text, err := s.Preview(&m, &transcoding.JSON{}, "book.title=x"); err == nil {
		t.Errorf("%s: the book is the body", text)
	}
	if m.BodyName() != "book" || m.ResponseName() != "" {
		t.Error(m.BodyName(), m.ResponseName())
	}
}
