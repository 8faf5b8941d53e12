package app_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/testport"
)

var extraPath = regexp.MustCompile(`replaceFullPath: /(\d+)`)

// counted is the number that a text of extra leads to.
func counted(text string) int {
	m := extraPath.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// retried makes a change until nobody else was first. What is not there any more is no
// error: somebody has deleted it, or rolled back.
func retried(t *testing.T, what string, change func() (*objects.Applied, error)) {
	for {
		_, err := change()
		var f *adminapi.Fault
		if errors.As(err, &f) && f.Status == 409 {
			continue
		}
		if err != nil && (!errors.As(err, &f) || f.Status != 404) {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
}

// Two gateways at one store are changed in every way at once. No change is lost or half
// made: revisions have no gaps, each was made of the one before it, and in the end both
// serve the last one.
func TestEverythingChangesAtOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		const rounds = 5
		up := named(t, "up")
		s := storeAt(t, place)
		ports := []int{testport.Free(t), testport.Free(t)}
		both := []*running{s.begin(config(up.URL, ports[0]), access.Operator), s.begin(config(up.URL, ports[1]), access.Operator)}
		ctx := context.Background()
		if _, err := both[0].api.Apply(ctx, extra("/0"), objects.Options{}); err != nil {
			t.Fatal(err)
		}
		counter := objects.Name{Kind: "HTTPRoute", Namespace: "default", Name: "extra"}
		latest := func(r *running, q objects.Query) objects.Revision {
			q.Limit = 1
			list, err := r.api.Revisions(ctx, q)
			if err != nil || len(list) != 1 {
				t.Errorf("%+v, %v", list, err)
				return objects.Revision{}
			}
			return list[0]
		}
		data := func(name string, value int) string {
			return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q}\n", name, fmt.Sprint(value))
		}
		var wg sync.WaitGroup
		for i, r := range both {
			wg.Go(func() { // read, add one, and write what was read
				for range rounds {
					retried(t, "count", func() (*objects.Applied, error) {
						at := latest(r, objects.Query{}).Number
						x, err := r.api.Revision(ctx, latest(r, objects.Query{Object: &counter}).Number)
						if err != nil {
							return nil, err
						}
						i := slices.IndexFunc(x.Changes, func(c objects.ObjectChange) bool { return c.Name == counter })
						return r.api.Apply(ctx, extra(fmt.Sprintf("/%d", counted(x.Changes[i].After)+1)), objects.Options{Expect: at, Message: "count"})
					})
				}
			})
			wg.Go(func() { // two objects that are always the same
				for n := range rounds {
					retried(t, "pair", func() (*objects.Applied, error) {
						return r.api.Apply(ctx, []byte(data("left", 10*n+i)+"---\n"+data("right", 10*n+i)), objects.Options{})
					})
				}
			})
			wg.Go(func() {
				for n := range rounds {
					retried(t, "delete", func() (*objects.Applied, error) {
						if n%2 == i {
							return r.api.Apply(ctx, []byte(data("gone", n)), objects.Options{})
						}
						return r.api.Delete(ctx, objects.Name{Kind: "ConfigMap", Namespace: "default", Name: "gone"}, objects.Options{})
					})
				}
			})
			wg.Go(func() {
				for n := range rounds {
					write(t, r.path, config(up.URL, ports[i])+"---\n"+data(fmt.Sprintf("file%d", i), n))
				}
			})
		}
		wg.Go(func() {
			for range rounds {
				retried(t, "rollback", func() (*objects.Applied, error) {
					return both[0].api.Rollback(ctx, max(1, latest(both[0], objects.Query{}).Number-2), objects.Options{})
				})
			}
		})
		wg.Wait()
		if t.Failed() {
			return
		}

		numbers, err := both[1].api.Revisions(ctx, objects.Query{Limit: objects.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		have := map[objects.Name]string{}
		for i, head := range slices.Backward(numbers) {
			if want := int64(len(numbers) - i); head.Number != want {
				t.Fatalf("revision %d comes where %d should", head.Number, want)
			}
			x, err := both[1].api.Revision(ctx, head.Number)
			if err != nil {
				t.Fatal(err)
			}
			if x.Source == objects.Files {
				continue
			}
			for _, c := range x.Changes {
				if c.Before != have[c.Name] {
					t.Errorf("revision %d has changed %s from\n%swhich was\n%s", x.Number, c.Name, c.Before, have[c.Name])
				}
				have[c.Name] = c.After
				if x.Message == "count" && counted(c.After) != counted(c.Before)+1 {
					t.Errorf("revision %d counts from %d to %d", x.Number, counted(c.Before), counted(c.After))
				}
			}
			name := func(n string) string {
				return have[objects.Name{Kind: "ConfigMap", Namespace: "default", Name: n}]
			}
			if left, right := name("left"), name("right"); (left == "") != (right == "") || left != "" && left[len(left)-6:] != right[len(right)-6:] {
				t.Errorf("revision %d has half a change: %q, %q", x.Number, left, right)
			}
		}
		// What others have stored comes a moment later.
		for n, want := range have {
			eventually(t, n.String()+" is what the last revision has made it", func() bool {
				o, err := both[0].api.Object(ctx, n.Kind, n.Namespace, n.Name)
				var f *adminapi.Fault
				if want == "" {
					return errors.As(err, &f) && f.Status == 404
				}
				return err == nil && o.Text == want
			})
		}
		last := ""
		if text := have[counter]; text != "" {
			last = fmt.Sprintf("/%d", counted(text))
		}
		eventually(t, "both serve the last revision", func() bool {
			return leads(t, ports[0]) == last && leads(t, ports[1]) == last
		})
	})
}
