package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/testport"
)

// tokened are gateways at one store.
type tokened struct {
	t      *testing.T
	place  string
	key    string
	tokens map[access.Role]string
}

func (s *tokened) begin(text string, role access.Role) *running {
	s.t.Helper()
	at, err := statedb.ParseLocation(s.place, "")
	if err != nil {
		s.t.Fatal(err)
	}
	r := start(s.t, text, func(o *app.Options) {
		o.State, o.StateKeyFile = &at, s.key
		o.StateDir = filepath.Dir(o.Source.Names()[0])
		o.ShowTokens = func(list []access.CreatedToken) error {
			for _, c := range list {
				s.tokens[c.Role] = c.Text
			}
			return nil
		}
	})
	if r.api, err = client.New(client.Options{Address: r.AdminAddr().String(), Token: s.tokens[role]}); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func storeAt(t *testing.T, place string) *tokened {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tokened{t: t, place: place, key: key, tokens: map[access.Role]string{}}
}

const applied = `# who made this
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: extra}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /extra}}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302, path: {type: ReplaceFullPath, replaceFullPath: PATH}}}]
`

func extra(path string) []byte { return []byte(strings.ReplaceAll(applied, "PATH", path)) }

// leads tells where a gateway redirects /extra to; empty is that it does not.
func leads(t *testing.T, port int) string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /extra HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	buf := make([]byte, 4096)
	n, _ := conn.Read(buf)
	_, rest, _ := strings.Cut(string(buf[:n]), "http://x")
	where, _, _ := strings.Cut(rest, "\r\n")
	_, path, found := strings.Cut(where, "/") // behind the port
	if !found {
		return ""
	}
	return "/" + path
}

// What is applied at one gateway is in service there when the answer comes, and at the
// other soon; it outlives both, and is rolled back.
func TestObjectsAreApplied(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		up := named(t, "up")
		s := storeAt(t, place)
		portOne, portTwo := testport.Free(t), testport.Free(t)
		one := s.begin(config(up.URL, portOne), access.Operator)
		two := s.begin(config(up.URL, portTwo), access.Operator)
		ctx := t.Context()
		eventually(t, "what both have read is recorded", func() bool {
			list, err := one.api.Revisions(ctx, objects.Query{})
			return err == nil && len(list) == 2
		})
		dry, err := one.api.Apply(ctx, extra("/a"), objects.Options{DryRun: true})
		if err != nil || !dry.DryRun || len(dry.Changes) != 1 || dry.Changes[0].Op != objects.Created || leads(t, portOne) != "" {
			t.Fatalf("dry run: %+v, %v", dry, err)
		}
		first, err := one.api.Apply(ctx, extra("/a"), objects.Options{Message: "the first"})
		if err != nil {
			t.Fatal(err)
		}
		if got := leads(t, portOne); got != "/a" {
			t.Errorf("after the answer: %q", got)
		}
		eventually(t, "it is in service elsewhere", func() bool { return leads(t, portTwo) == "/a" })
		if again, err := two.api.Apply(ctx, extra("/a"), objects.Options{}); err != nil || again.Revision != first.Revision || again.Changes[0].Op != objects.Unchanged {
			t.Errorf("applied again: %+v, %v", again, err)
		}
		second, err := two.api.Apply(ctx, extra("/b"), objects.Options{Expect: first.Revision})
		if err != nil || second.Revision <= first.Revision {
			t.Fatalf("%+v, %v", second, err)
		}
		var fault *adminapi.Fault
		if _, err := one.api.Apply(ctx, extra("/c"), objects.Options{Expect: first.Revision}); !errors.As(err, &fault) || fault.Status != 409 {
			t.Errorf("of an earlier revision: %v", err)
		}
		eventually(t, "the second everywhere", func() bool { return leads(t, portOne) == "/b" && leads(t, portTwo) == "/b" })
		o, err := one.api.Object(ctx, "HTTPRoute", "default", "extra")
		if err != nil || o.Source != "managed" || o.Revision != second.Revision || o.Text != string(extra("/b")) {
			t.Errorf("%+v, %v", o, err)
		}
		list, err := one.api.Revisions(ctx, objects.Query{Object: &objects.Name{Kind: "httproute", Namespace: "default", Name: "extra"}})
		if err != nil || len(list) != 2 || list[0].Number != second.Revision || list[1].Message != "the first" || !strings.HasPrefix(list[1].By, "first-operator") {
			t.Fatalf("%+v, %v", list, err)
		}
		if x, err := one.api.Revision(ctx, second.Revision); err != nil || x.Changes[0].Before != string(extra("/a")) || x.Changes[0].After != string(extra("/b")) {
			t.Errorf("%+v, %v", x, err)
		}
		back, err := one.api.Rollback(ctx, first.Revision, objects.Options{})
		if err != nil || back.Revision != second.Revision+1 || leads(t, portOne) != "/a" {
			t.Fatalf("%+v, %v", back, err)
		}
		eventually(t, "rolled back elsewhere", func() bool { return leads(t, portTwo) == "/a" })
		for _, r := range []*running{one, two} {
			r.stop()
			if err := r.ended(t); err != nil {
				t.Error(err)
			}
		}
		port := testport.Free(t)
		three := s.begin(config(up.URL, port), access.Operator)
		if got := leads(t, port); got != "/a" {
			t.Errorf("after a start: %q", got)
		}
		gone, err := three.api.Delete(ctx, objects.Name{Kind: "httproute", Namespace: "default", Name: "extra"}, objects.Options{Message: "over"})
		if err != nil || gone.Changes[0].Op != objects.Deleted || leads(t, port) != "" {
			t.Errorf("%+v, %v", gone, err)
		}
		if _, err := three.api.Rollback(ctx, back.Revision, objects.Options{}); err != nil || leads(t, port) != "/a" {
			t.Errorf("what was deleted does not come back: %v", err)
		}
	})
}

// What the whole configuration would be wrong with is refused, with its place in what was
// sent, and nothing of it is stored.
func TestWhatIsWrongIsNotApplied(t *testing.T) {
	up, port := named(t, "up"), testport.Free(t)
	s := storeAt(t, statetest.SQLite(t))
	r := s.begin(config(up.URL, port), access.Operator)
	ctx := t.Context()
	refused := func(text string, status int) *adminapi.Fault {
		t.Helper()
		var f *adminapi.Fault
		_, err := r.api.Apply(ctx, []byte(text), objects.Options{})
		if !errors.As(err, &f) || f.Status != status {
			t.Fatalf("%v, want %d", err, status)
		}
		return f
	}
	f := refused(string(extra("/a"))+"---\n"+strings.Replace(string(extra("/b")), "statusCode", "statusCoed", 1), 422)
	if len(f.Errors) == 0 || f.Errors[0].Line != 19 || f.Errors[0].Object != "HTTPRoute/default/extra" || !strings.Contains(f.Errors[0].Hint, "statusCode") {
		t.Errorf("a misspelling: %+v", f.Errors)
	}
	f = refused(fmt.Sprintf("\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: second}\nspec:\n  gatewayClassName: gridway\n  addresses: [{type: IPAddress, value: 127.0.0.1}]\n  listeners:\n  - {name: raw, port: %d, protocol: TCP}\n", port), 422)
	if len(f.Errors) == 0 || f.Errors[0].Object != "Gateway/default/second" || f.Errors[0].Line == 0 {
		t.Errorf("a port in use: %+v", f.Errors)
	}
	f = refused(config(up.URL, port), 409)
	if !strings.Contains(f.Detail, "gateway.yaml:1") || !strings.Contains(f.Detail, "change it there") {
		t.Errorf("objects of a file: %s", f.Detail)
	}
	for text, want := range map[string]string{
		"": "NoObject", "# nothing\n": "NoObject", "kind: [": "",
		"{apiVersion: gridway.dev/v1alpha1, kind: Consumer, metadata: {name: acme}, spec: {}}":                 "WrongKind",
		"{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {gridway.dev/files: a=/etc/passwd}}}": "FilesNotAllowed",
		"{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: (hidden)}}":                       "HiddenValue",
		string(extra("/a")) + "---\n" + string(extra("/b")):                                                    "DuplicateObject",
	} {
		f := refused(text, 422)
		if len(f.Errors) == 0 || want != "" && f.Errors[0].Code != want {
			t.Errorf("%q: %+v", text, f.Errors)
		}
	}
	if refused("{apiVersion: gridway.dev/v1alpha1, kind: MeshPeer, metadata: {name: p}, spec: {addresses: ['x.example:15010'], trustDomain: x.example, import: [{namespace: shop, services: [a]}]}}", 403); leads(t, port) != "" {
		t.Error("something is in service")
	}
	if list, err := r.api.Revisions(ctx, objects.Query{Object: &objects.Name{Kind: "HTTPRoute", Namespace: "default", Name: "extra"}}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	// A file that comes to have it holds, and it is told.
	if _, err := r.api.Apply(ctx, extra("/a"), objects.Options{}); err != nil {
		t.Fatal(err)
	}
	write(t, r.path, config(up.URL, port)+"---\n"+string(extra("/file")))
	eventually(t, "the file's holds", func() bool { return leads(t, port) == "/file" })
	told := false
	for _, p := range r.status(t).Problems {
		told = told || p.Code == "HiddenByFile" && p.Object == "HTTPRoute/default/extra" && p.Place.Line > 0 && strings.Contains(p.Remedy, "gridway delete httproute extra")
	}
	if !told {
		t.Errorf("%+v", r.status(t).Problems)
	}
	refused(string(extra("/b")), 409)
	// The remedy works: what does not serve can be taken away, and the file's goes on.
	if _, err := r.api.Delete(ctx, objects.Name{Kind: "HTTPRoute", Namespace: "default", Name: "extra"}, objects.Options{}); err != nil {
		t.Errorf("a managed object that a file hides is deleted: %v", err)
	}
	eventually(t, "nothing is hidden", func() bool {
		return !slices.ContainsFunc(r.status(t).Problems, func(p adminapi.Problem) bool { return p.Code == "HiddenByFile" })
	})
	if at := leads(t, port); at != "/file" {
		t.Errorf("the file's object leads to %q", at)
	}
	if _, err := r.api.Delete(ctx, objects.Name{Kind: "Backend", Namespace: "default", Name: "up"}, objects.Options{}); err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), "gateway.yaml:") {
		t.Errorf("an object of a file is deleted: %v", err)
	}
	if _, err := r.api.Delete(ctx, objects.Name{Kind: "Backend", Namespace: "default", Name: "none"}, objects.Options{}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an object that is not is deleted: %v", err)
	}
	if _, err := r.api.Rollback(ctx, 10000, objects.Options{}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("rolled back to a revision that is not: %v", err)
	}
}

// Secrets are sealed in the store, and shown nowhere; with another secret they are not
// opened, and the rest serves.
func TestSecretsAreSealed(t *testing.T) {
	up, port := named(t, "up"), testport.Free(t)
	place := statetest.SQLite(t)
	s := storeAt(t, place)
	r := s.begin(config(up.URL, port), access.Admin)
	ctx := t.Context()
	secret := func(v string) []byte {
		return []byte("{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: " + v + ", b: same}}")
	}
	if _, err := r.api.Apply(ctx, secret("hunter2-hunter2"), objects.Options{}); err != nil {
		t.Fatal(err)
	}
	a, err := r.api.Apply(ctx, append(append(secret("hunter3-hunter3"), "\n---\n"...), extra("/a")...), objects.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.api.Revision(ctx, a.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if c := x.Changes[0]; !strings.Contains(c.After, "a: (hidden, changed)") || !strings.Contains(c.After, "b: (hidden)\n") || !strings.Contains(c.Before, "a: (hidden)\n") {
		t.Errorf("%+v", c)
	}
	audit, err := r.api.Audit(ctx, access.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal([]any{x, audit})
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.api.Object(ctx, "Secret", "default", "s")
	if err != nil || o.Text != "" || strings.Contains(string(o.Value), "hunter") || strings.Contains(string(all), "hunter") {
		t.Errorf("%+v, %v, %s", o, err, all)
	}
	r.stop()
	if err := r.ended(t); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(strings.TrimPrefix(place, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err != nil || strings.Contains(string(text), "hunter") {
			t.Errorf("%s has the secret: %v", f, err)
		}
	}
	s.key = filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(s.key, []byte(strings.Repeat("o", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	port = testport.Free(t)
	r = s.begin(config(up.URL, port), access.Admin)
	if got := leads(t, port); got != "/a" {
		t.Errorf("the rest does not serve: %q", got)
	}
	told := false
	for _, p := range r.status(t).Problems {
		told = told || p.Code == "UnreadableObject" && p.Object == "Secret/default/s" && strings.Contains(p.Remedy, "--state-key-file")
	}
	if !told {
		t.Errorf("%+v", r.status(t).Problems)
	}
	if _, err := r.api.Delete(ctx, objects.Name{Kind: "Secret", Namespace: "default", Name: "s"}, objects.Options{}); err != nil {
		t.Errorf("what cannot be read cannot be taken away: %v", err)
	}
}

// A listener of a managed Gateway whose port somebody else has on this machine keeps no
// process from starting, and opens when the port is free.
func TestAManagedListenerKeepsNobodyFromStarting(t *testing.T) {
	up := named(t, "up")
	s := storeAt(t, statetest.SQLite(t))
	own, shared := testport.Free(t), testport.Free(t)
	r := s.begin(config(up.URL, own), access.Operator)
	gateway := strings.ReplaceAll(strings.Split(config(up.URL, shared), "---")[0], "name: edge", "name: second")
	if _, err := r.api.Apply(t.Context(), []byte(gateway), objects.Options{}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := r.ended(t); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", shared))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r = s.begin(config(up.URL, own), access.Operator)
	if code, body := fetch(fmt.Sprintf("http://127.0.0.1:%d/", own)); code != 200 {
		t.Errorf("the files' listener: %d %s", code, body)
	}
	taken.Close()
	eventually(t, "the managed listener opens", func() bool {
		for _, l := range r.status(t).Listeners {
			if l.State != "listening" {
				return false
			}
		}
		return true
	})
}

// With a state store a gateway starts without a listener, and gets one.
func TestAGatewayOfManagedObjectsAlone(t *testing.T) {
	up, port := named(t, "up"), testport.Free(t)
	s := storeAt(t, statetest.SQLite(t))
	at, err := statedb.ParseLocation(s.place, "")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, "", func(o *app.Options) {
		o.Source, o.State, o.StateDir = app.Files(nil, file.Options{}), &at, t.TempDir()
		o.ShowTokens = func(list []access.CreatedToken) error {
			s.tokens[access.Operator] = list[1].Text
			return nil
		}
	})
	if r.api, err = client.New(client.Options{Address: r.AdminAddr().String(), Token: s.tokens[access.Operator]}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.api.Apply(t.Context(), []byte(config(up.URL, port)), objects.Options{}); err != nil {
		t.Fatal(err)
	}
	if code, body := fetch(fmt.Sprintf("http://127.0.0.1:%d/", port)); code != 200 || body != "up" {
		t.Errorf("%d %s", code, body)
	}
}

// While the store is gone what serves goes on, and a change is refused and not half made;
// afterwards it is made.
func TestTheStoreIsGone(t *testing.T) {
	up, port := named(t, "up"), testport.Free(t)
	server := statetest.OwnPostgres(t)
	s := storeAt(t, server.Place)
	r := s.begin(config(up.URL, port), access.Operator)
	ctx := t.Context()
	first, err := r.api.Apply(ctx, extra("/a"), objects.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	var fault *adminapi.Fault
	if _, err := r.api.Apply(ctx, extra("/b"), objects.Options{}); !errors.As(err, &fault) || fault.Status < 500 {
		t.Errorf("applied without a store: %v", err)
	}
	if got := leads(t, port); got != "/a" {
		t.Errorf("without a store: %q", got)
	}
	server.Start()
	eventually(t, "it is applied", func() bool {
		_, err := r.api.Apply(ctx, extra("/b"), objects.Options{})
		return err == nil
	})
	if got := leads(t, port); got != "/b" {
		t.Errorf("afterwards: %q", got)
	}
	x, err := r.api.Revisions(ctx, objects.Query{Object: &objects.Name{Kind: "HTTPRoute", Namespace: "default", Name: "extra"}})
	if err != nil || len(x) != 2 || x[1].Number != first.Revision {
		t.Errorf("%+v, %v", x, err)
	}
}
