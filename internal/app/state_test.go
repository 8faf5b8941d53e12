package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/testport"
)

const keysPolicy = `---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf: [{apiKey: {}}]
`

const acmeOfAFile = `---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: acme}
spec: {groups: [of-the-file]}
`

// knows tells whether a gateway on a port accepts a key.
func knows(port int, key string) bool {
	u := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/"}
	resp, err := http.DefaultClient.Do(&http.Request{Method: "GET", URL: u, Header: http.Header{"X-Api-Key": {key}}})
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == 200
}

// Two gateways share a store of each kind: what is done at one is so at the other,
// and outlives both.
func TestGatewaysShareAStateStore(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		up := named(t, "up")
		tokens := map[access.Role]string{}
		begin := func() (*running, int) {
			port := testport.Free(t)
			at, err := statedb.ParseLocation(place, "")
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, config(up.URL, port)+keysPolicy, func(o *app.Options) {
				o.State = &at
				o.ShowTokens = func(list []access.CreatedToken) error {
					for _, c := range list {
						tokens[c.Role] = c.Text
					}
					return nil
				}
			})
			if r.api, err = client.New(client.Options{Address: r.AdminAddr().String(), Token: tokens[access.Operator]}); err != nil {
				t.Fatal(err)
			}
			return r, port
		}
		one, portOne := begin()
		two, portTwo := begin()
		if len(tokens) != 3 {
			t.Fatalf("tokens %v", tokens)
		}
		ctx := t.Context()
		anonymous, err := client.New(client.Options{Address: one.AdminAddr().String()})
		if err != nil {
			t.Fatal(err)
		}
		defer anonymous.Close()
		var fault *adminapi.Fault
		if _, err := anonymous.Status(ctx); !errors.As(err, &fault) || fault.Status != 401 {
			t.Errorf("without a token: %v", err)
		}
		if _, err := one.api.CreateConsumer(ctx, []byte("{apiVersion: gridway.dev/v1alpha1, kind: Consumer, metadata: {name: acme}, spec: {}}")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		k, err := one.api.CreateKey(ctx, "default", "acme", access.NewKey{})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the key is known", func() bool { return knows(portOne, k.Key) })
		eventually(t, "the key is known elsewhere", func() bool { return knows(portTwo, k.Key) })
		t.Logf("in service everywhere after %s", time.Since(began))
		if err := two.api.RevokeKey(ctx, "default", "acme", "key-1"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the key is revoked", func() bool { return !knows(portOne, k.Key) && !knows(portTwo, k.Key) })
		if k, err = two.api.CreateKey(ctx, "default", "acme", access.NewKey{Name: "kept"}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another key is known", func() bool { return knows(portOne, k.Key) })
		for _, r := range []*running{one, two} {
			r.stop()
			if err := r.ended(t); err != nil {
				t.Error(err)
			}
		}
		// The state is there again, with the last use; a file's consumer hides one.
		three, port := begin()
		if !knows(port, k.Key) {
			t.Error("the key is gone")
		}
		eventually(t, "the last use is known", func() bool {
			list, err := three.api.Consumers(ctx, "default", "acme")
			return err == nil && len(list) == 1 && !list[0].Credentials[0].LastUsed.IsZero()
		})
		text, err := os.ReadFile(three.path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, three.path, string(text)+acmeOfAFile)
		eventually(t, "the file's consumer hides the other", func() bool { return !knows(port, k.Key) })
		s := three.status(t)
		told := false
		for _, p := range s.Problems {
			told = told || p.Code == "HiddenByFile" && p.Object == "Consumer/default/acme" && p.Place.Line > 0
		}
		if !told {
			t.Errorf("problems %+v", s.Problems)
		}
		if err := three.api.DeleteConsumer(ctx, "default", "acme", ""); !errors.As(err, &fault) || fault.Status != 409 || !strings.Contains(fault.Detail, "gateway.yaml:") {
			t.Errorf("a consumer of a file is deleted: %v", err)
		}
		write(t, three.path, string(text))
		eventually(t, "the other is there again", func() bool { return knows(port, k.Key) })
	})
}
