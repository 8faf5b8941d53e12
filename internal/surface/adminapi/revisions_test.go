package adminapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// kept is a made-up store of objects.
type kept struct {
	err  error
	by   access.Actor
	text string
	name objects.Name
	o    objects.Options
	q    objects.Query
}

var cartName = objects.Name{Kind: "HTTPRoute", Namespace: "default", Name: "cart"}

func (k *kept) applied() (*objects.Applied, error) {
	if k.err != nil {
		return nil, k.err
	}
	return &objects.Applied{Revision: 12, Changes: []objects.Change{{Op: objects.Created, Name: cartName}}}, nil
}

func (k *kept) Apply(_ context.Context, by access.Actor, text []byte, o objects.Options) (*objects.Applied, error) {
	k.by, k.text, k.o = by, string(text), o
	return k.applied()
}

func (k *kept) Delete(_ context.Context, by access.Actor, n objects.Name, o objects.Options) (*objects.Applied, error) {
	k.by, k.name, k.o = by, n, o
	return k.applied()
}

func (k *kept) Rollback(_ context.Context, by access.Actor, _ int64, o objects.Options) (*objects.Applied, error) {
	k.by, k.o = by, o
	return k.applied()
}

const secretBefore, secretAfter = `{"kind":"Secret","data":{"a":"aHVudGVyMg==","b":"c2FtZQ=="}}`, `{"kind":"Secret","data":{"a":"aHVudGVyMw==","b":"c2FtZQ=="}}`

func (k *kept) Revision(_ context.Context, number int64) (*objects.Revision, error) {
	if number == 404 {
		return nil, fmt.Errorf("revision 404: %w", objects.ErrForgotten)
	}
	return &objects.Revision{
		Number: number, At: at, By: "ada", Message: "why", Source: objects.API,
		Changes: []objects.ObjectChange{
			{Op: objects.Changed, Name: cartName, Before: "# was\nkind: HTTPRoute\n", After: "# is\nkind: HTTPRoute\n", BeforeValue: json.RawMessage(`{"kind":"HTTPRoute"}`), AfterValue: json.RawMessage(`{"kind":"HTTPRoute"}`)},
			{
				Op: objects.Changed, Name: objects.Name{Kind: "Secret", Namespace: "default", Name: "s"}, Before: "# hunter2", After: "# hunter3",
				BeforeValue: json.RawMessage(secretBefore), AfterValue: json.RawMessage(secretAfter),
			},
		},
	}, nil
}

func (k *kept) Revisions(ctx context.Context, q objects.Query) ([]objects.Revision, error) {
	k.q = q
	x, err := k.Revision(ctx, 12)
	return []objects.Revision{*x}, err
}

func TestApply(t *testing.T) {
	k := &kept{}
	opt := newProcess().options()
	opt.Managed, opt.Revisions = k, k
	base := start(t, opt)
	c, err := client.New(client.Options{Address: base})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	a, err := c.Apply(ctx, []byte("kind: HTTPRoute\n"), objects.Options{Message: "a & b", DryRun: true, Expect: 11})
	if err != nil || a.Revision != 12 || len(a.Changes) != 1 || a.Changes[0].Name != cartName || a.Warnings == nil {
		t.Fatalf("%+v, %v", a, err)
	}
	if k.text != "kind: HTTPRoute\n" || k.o != (objects.Options{Message: "a & b", DryRun: true, Expect: 11}) || k.by.Role != access.Admin {
		t.Errorf("%+v", k)
	}
	if _, err := c.Delete(ctx, objects.Name{Kind: "GatewayClass", Name: "x"}, objects.Options{}); err != nil || k.name != (objects.Name{Kind: "GatewayClass", Name: "x"}) {
		t.Errorf("%+v, %v", k.name, err)
	}
	if _, err := c.Rollback(ctx, 3, objects.Options{Message: "back"}); err != nil || k.o.Message != "back" {
		t.Errorf("%+v, %v", k.o, err)
	}
	status, header, _ := request{method: "POST", path: "/v1/apply", header: http.Header{"Content-Type": {"application/yaml"}, "If-Match": {`"7"`}}}.do(t, base)
	if status != 200 || header.Get("ETag") != `"12"` || k.o.Expect != 7 {
		t.Errorf("If-Match: %d %v %+v", status, header, k.o)
	}
	for query, want := range map[string]string{
		"dryRun=yes":                           "dryRun must be",
		"expect=0":                             "expect must be",
		"expect=x":                             "expect must be",
		"message=" + strings.Repeat("x", 1001): "1001 bytes",
	} {
		status, _, body := request{method: "POST", path: "/v1/apply?" + query, header: http.Header{"Content-Type": {"application/yaml"}}}.do(t, base)
		if status != 400 || !strings.Contains(body, want) {
			t.Errorf("%.30s: %d %s", query, status, body)
		}
	}
	if status, _, body := (request{method: "POST", path: "/v1/apply", header: http.Header{"Content-Type": {"text/plain"}}}).do(t, base); status != 415 {
		t.Errorf("text/plain: %d %s", status, body)
	}
	for err, want := range map[error]int{
		objects.ErrInFile: 409, objects.ErrChanged: 409, objects.ErrFiles: 409, objects.ErrSeal: 409, objects.ErrForgotten: 410, objects.ErrRole: 403, objects.ErrTooMuch: 413, errors.New("broken"): 500,
	} {
		k.err = fmt.Errorf("here: %w", err)
		var f *adminapi.Fault
		if _, got := c.Apply(ctx, []byte("x"), objects.Options{}); !errors.As(got, &f) || f.Status != want {
			t.Errorf("%v: %v, want %d", err, got, want)
		}
	}
	k.err = &objects.InvalidError{Errors: []objects.Diagnostic{{Line: 3, Column: 7, Code: "UnknownField", Object: "HTTPRoute/default/cart", Field: "spec.rulez", Message: "unknown field", Hint: `did you mean "rules"?`}}}
	var f *adminapi.Fault
	_, err = c.Apply(ctx, []byte("x"), objects.Options{})
	if !errors.As(err, &f) || f.Status != 422 || len(f.Errors) != 1 || f.Errors[0].Line != 3 || !strings.Contains(err.Error(), `line 3, column 7: HTTPRoute/default/cart: spec.rulez: unknown field; did you mean "rules"?`) {
		t.Errorf("%v", err)
	}
}

func TestWithoutAStoreNothingIsApplied(t *testing.T) {
	base := start(t, newProcess().options())
	for _, path := range []string{"POST /v1/apply", "POST /v1/revisions/1/rollback", "DELETE /v1/objects/HTTPRoute/default/cart"} {
		method, path, _ := strings.Cut(path, " ")
		status, _, body := request{method: method, path: path, header: http.Header{"Content-Type": {"application/yaml"}}}.do(t, base)
		if status != 409 || !strings.Contains(body, "--state sqlite") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Texts have no secrets, and tell which have changed.
func TestRevisionsHideSecrets(t *testing.T) {
	k := &kept{}
	opt := newProcess().options()
	opt.Managed, opt.Revisions = k, k
	base := start(t, opt)
	_, _, body := request{path: "/v1/revisions/12"}.do(t, base)
	var x objects.Revision
	if err := json.Unmarshal([]byte(body), &x); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "hunter") || strings.Contains(body, "aHVudGVy") {
		t.Errorf("a secret is shown: %s", body)
	}
	if got := x.Changes[0]; got.Before != "# was\nkind: HTTPRoute\n" || got.After != "# is\nkind: HTTPRoute\n" {
		t.Errorf("texts without secrets: %+v", got)
	}
	if got := x.Changes[1]; got.Before != "data:\n  a: (hidden)\n  b: (hidden)\nkind: Secret\n" || got.After != "data:\n  a: (hidden, changed)\n  b: (hidden)\nkind: Secret\n" {
		t.Errorf("texts with secrets: %+v", got)
	}
	status, header, body := request{path: "/v1/revisions?limit=1&before=20&object=HTTPRoute/default/cart"}.do(t, base)
	if status != 200 || !strings.Contains(header.Get("Link"), "before=12") || strings.Contains(body, "was") || k.q.Before != 20 || *k.q.Object != cartName {
		t.Errorf("%d %v %s", status, header, body)
	}
	for path, want := range map[string]int{
		"/v1/revisions/404": 410, "/v1/revisions/x": 400, "/v1/revisions/0": 400, "/v1/revisions?limit=0": 400, "/v1/revisions?limit=1001": 400,
		"/v1/revisions?before=-1": 400, "/v1/revisions?object=x": 400,
	} {
		if status, _, body := (request{path: path}).do(t, base); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
