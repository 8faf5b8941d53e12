package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/testport"
)

// manager is a client of a process's admin API, at its socket, whose owner is an admin.
func manager(p *process) *client.Client {
	p.t.Helper()
	c, err := client.New(client.Options{Address: "unix:" + filepath.Join(p.dir, "admin"), Timeout: 2 * time.Minute})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// alike are objects of which each has the same value.
func alike(n, value int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: part-%d}\ndata: {value: \"%d\"}\n", i, value)
	}
	return []byte(b.String())
}

// A process that is killed in the middle of a change has made all of it or nothing, and
// what it has said is made is there.
func TestKilledInTheMiddleOfAChange(t *testing.T) {
	t.Parallel()
	const parts, kills = 20, 3
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	dir := t.TempDir()
	var acknowledged atomic.Int64
	value := 0
	for range kills {
		p := start(t, documents(plainOn(testport.Free(t)), routeDoc("app", ""), backendDoc("app", app.addr)), "--state", "sqlite", "--state-dir", dir)
		api := manager(p)
		noHalves(t, api, parts, acknowledged.Load())
		ctx, cancel := context.WithCancel(t.Context())
		enough, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; ctx.Err() == nil; n++ {
				value++
				a, err := api.Apply(ctx, alike(parts, value), objects.Options{Message: fmt.Sprint(value)})
				if err != nil {
					return // it was killed
				}
				acknowledged.Store(a.Revision)
				if n == 2 {
					close(enough)
				}
			}
		}()
		select {
		case <-enough:
		case <-ended:
			t.Fatal("nothing can be applied")
		}
		// Where in a change this is, chance decides.
		p.cmd.Process.Kill()
		<-p.done
		cancel()
		<-ended
	}
	p := start(t, documents(plainOn(testport.Free(t)), routeDoc("app", ""), backendDoc("app", app.addr)), "--state", "sqlite", "--state-dir", dir)
	api := manager(p)
	noHalves(t, api, parts, acknowledged.Load())
	if _, err := api.Apply(t.Context(), alike(parts, 0), objects.Options{}); err != nil {
		t.Error(err)
	}
}

// noHalves looks for half a change.
func noHalves(t *testing.T, api *client.Client, parts int, acknowledged int64) {
	t.Helper()
	all, err := api.Revisions(t.Context(), objects.Query{Limit: objects.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range all {
		if want := int64(len(all) - i); x.Number != want || x.Source == objects.API && len(x.Changes) != parts {
			t.Errorf("revision %d has %d changes, and should be %d", x.Number, len(x.Changes), want)
		}
	}
	if acknowledged > int64(len(all)) {
		t.Errorf("revision %d was made, and there are %d", acknowledged, len(all))
	}
	made := slices.IndexFunc(all, func(x objects.Revision) bool { return x.Source == objects.API })
	if made < 0 {
		return
	}
	for i := range parts {
		o, err := api.Object(t.Context(), "ConfigMap", "default", fmt.Sprintf("part-%d", i))
		if err != nil || o.Revision != all[made].Number || !strings.Contains(o.Text, fmt.Sprintf("value: %q", all[made].Message)) {
			t.Errorf("after revision %d, value %s: %+v, %v", all[made].Number, all[made].Message, o, err)
		}
	}
}

// A state store that cannot grow refuses changes with the reason, and nothing of them is
// kept; what serves goes on, and as soon as there is room changes are made again.
func TestTheStoreIsFull(t *testing.T) {
	t.Parallel()
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	port := testport.Free(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)), "--state", "sqlite", "--state-dir", t.TempDir())
	api := manager(p)
	if _, err := api.Apply(t.Context(), alike(1, 1), objects.Options{}); err != nil {
		t.Fatal(err)
	}
	// No file of the process may grow: for it the disk is full.
	var before unix.Rlimit
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	var fault *adminapi.Fault
	if _, err := api.Apply(t.Context(), alike(1, 2), objects.Options{}); !errors.As(err, &fault) || fault.Status != http.StatusServiceUnavailable || !strings.Contains(fault.Detail, "the state store cannot be used now: ") {
		t.Errorf("with a full disk: %v", err)
	}
	if o, err := api.Object(t.Context(), "ConfigMap", "default", "part-0"); err != nil || !strings.Contains(o.Text, `value: "1"`) {
		t.Errorf("what was refused is kept: %+v, %v", o, err)
	}
	if resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port)); err != nil || resp.StatusCode != 200 {
		t.Errorf("what serves does not go on: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &before, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool {
		_, err := api.Apply(t.Context(), alike(1, 3), objects.Options{})
		return err == nil
	})
	if o, err := api.Object(t.Context(), "ConfigMap", "default", "part-0"); err != nil || !strings.Contains(o.Text, `value: "3"`) {
		t.Errorf("%+v, %v", o, err)
	}
	list, err := api.Revisions(t.Context(), objects.Query{Object: &objects.Name{Kind: "ConfigMap", Namespace: "default", Name: "part-0"}})
	if err != nil || len(list) != 2 || list[0].Number <= list[1].Number {
		t.Errorf("%+v, %v", list, err)
	}
}
