package compile_test

import (
	"cmp"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// Whatever is compiled must reach proxies of other processes as it is.
func TestGoldenIsSentWhole(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) < 80 {
		t.Fatalf("%d golden inputs, want at least 80 (%v)", len(inputs), err)
	}
	for _, in := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(in), ".in.yaml"), func(t *testing.T) {
			sent(t, compileFile(t, in).Config)
		})
	}
}

func TestExamplesAreSentWhole(t *testing.T) {
	const examples = "../../../examples"
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			set, _, err := file.Load([]string{filepath.Join(examples, e.Name())}, file.Options{})
			if err != nil {
				t.Fatal(err)
			}
			sent(t, compile.Compile(compile.Input{Set: set}, nil).Config)
		})
		tested++
	}
	if tested < 40 {
		t.Errorf("only %d examples", tested)
	}
}

func sent(t *testing.T, config *ir.Config) {
	t.Helper()
	list, err := distrib.Split(config)
	if err != nil {
		t.Fatal(err)
	}
	got, err := distrib.Join(list)
	if err != nil {
		t.Fatal(err)
	}
	// Lists come in the order of names, which is of no consequence to proxies.
	want := *config
	want.Revision = 0
	want.Routes = slices.Clone(want.Routes)
	slices.SortFunc(want.Routes, func(a, b *ir.Route) int { return cmp.Compare(a.Name, b.Name) })
	want.Streams = slices.Clone(want.Streams)
	slices.SortFunc(want.Streams, func(a, b *ir.StreamRoute) int { return cmp.Compare(a.Name, b.Name) })
	want.Consumers = slices.Clone(want.Consumers)
	slices.SortFunc(want.Consumers, func(a, b *ir.Consumer) int { return cmp.Compare(a.String(), b.String()) })
	want.RateLimits = slices.Clone(want.RateLimits)
	slices.SortFunc(want.RateLimits, func(a, b *ir.RateLimit) int {
		return cmp.Compare(a.Policy+"/"+a.Name, b.Policy+"/"+b.Name)
	})
	// That a list of the configuration itself is empty says as much as that it is nil.
	for i, v := 0, reflect.ValueOf(&want).Elem(); i < v.NumField(); i++ {
		if list := v.Field(i); list.Kind() == reflect.Slice && list.Len() == 0 {
			list.SetZero()
		}
	}
	if !reflect.DeepEqual(&want, got) {
		t.Errorf("not what was compiled (-want +got):\n%s\nwith nil and empty the same:\n%s",
			gocmp.Diff(&want, got, cmpopts.EquateComparable()), gocmp.Diff(&want, got, cmpopts.EquateComparable(), cmpopts.EquateEmpty()))
	}
	// What rules share is still shared, by pointer.
	for i, r := range want.Routes {
		for j, rule := range r.Rules {
			for k, a := range rule.Policy.Authorization {
				if at := slices.Index(want.Authorizations, a); at >= 0 && got.Routes[i].Rules[j].Policy.Authorization[k] != got.Authorizations[at] {
					t.Errorf("%s: AuthorizationPolicy %s is not shared", rule.ID, a.Policy)
				}
			}
		}
	}
}
