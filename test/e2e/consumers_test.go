package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

// One key among 100,000 consumers changes: the next request is judged by it, and
// nothing else was compiled or built anew.
func TestOneConsumerAmongManyChanges(t *testing.T) {
	t.Parallel()
	const many = 100_000
	g := serveYAML(t, documents(edge("", headersSeen(t)), authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]")))
	set, _, err := file.Load([]string{filepath.Join(g.dir, "gridway.yaml")}, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	someone := func(i int, key string) *store.Object {
		name := fmt.Sprintf("c%06d", i)
		hash := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key)))
		return &store.Object{
			Key: store.Key{Group: v1alpha1.GroupName, Kind: v1alpha1.KindConsumer, Namespace: "default", Name: name},
			Value: &v1alpha1.Consumer{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
				Spec:       v1alpha1.ConsumerSpec{Credentials: []v1alpha1.ConsumerCredential{{Name: "k", APIKey: &v1alpha1.APIKeyCredential{Hash: &hash}}}},
			},
		}
	}
	keyOf := func(i int) string { return fmt.Sprintf("key-of-consumer-%06d", i) }
	list := make([]*store.Object, many)
	for i := range list {
		list[i] = someone(i, keyOf(i))
	}
	set = set.With(list, nil)
	apply := func() {
		g.last = compile.Compile(compile.Input{Set: set, Now: time.Now()}, g.last)
		if err := g.proxy.Apply(context.Background(), onLoopback(g.last.Config)); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	before := g.last.Config
	if len(before.Consumers) != many {
		t.Fatalf("%d consumers", len(before.Consumers))
	}
	const changed = 50_000
	set = set.With([]*store.Object{someone(changed, "another-key-than-before")}, nil)
	began := time.Now()
	apply()
	t.Logf("one change among %d, compiled and put in service within %v", many, time.Since(began))
	after := g.last.Config
	for i := range after.Consumers {
		if same := before.Consumers[i] == after.Consumers[i]; same != (i != changed) {
			t.Fatalf("consumer %d: the same %t", i, same)
		}
	}
	if len(before.Routes) == 0 || before.Routes[0] != after.Routes[0] {
		t.Error("the route was compiled anew")
	}
	for key, status := range map[string]int{"another-key-than-before": 200, keyOf(changed): 401, keyOf(changed - 1): 200, keyOf(many - 1): 200} {
		if resp, _ := g.get("/", header("X-API-Key", key)); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", key, resp.StatusCode, status)
		}
	}
}
