package mesh

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gridway/gridway/test/built"
)

// growthPerService bounds what a sidecar holds for each service that its program uses, in
// bytes: routes, a cluster, its statistics and metrics.
const growthPerService = 80 << 10

// What a sidecar has in memory grows with the services that its program uses, by little for
// each, and not with those that there are.
func TestMemoryByServices(t *testing.T) {
	t.Parallel()
	small, err := built.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	const services, few = 1000, 10
	var yaml strings.Builder
	for i := range services {
		fmt.Fprintf(&yaml, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {ports: [{name: http, port: 80, appProtocol: http}]}\n", i)
	}
	m := newMesh(t, yaml.String())
	m.with = small
	p := m.sidecar("reviews", "one", "--http-proxy")
	proxy := proxyOf(t, p)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{Proxy: http.ProxyURL(proxy), MaxIdleConnsPerHost: 4}}
	use := func(from, to int) {
		t.Helper()
		var wg sync.WaitGroup
		next := make(chan int)
		for range 4 {
			wg.Go(func() {
				for i := range next {
					resp, err := client.Get(fmt.Sprintf("http://s%d/", i))
					if err != nil {
						t.Error(err)
						continue
					}
					resp.Body.Close()
					if reason := resp.Header.Get("X-Gridway-Reason"); reason != "NoEndpoint" && reason != "NoHealthyEndpoint" {
						t.Errorf("s%d: %s, %q", i, resp.Status, reason)
					}
				}
			})
		}
		for i := from; i < to; i++ {
			next <- i
		}
		close(next)
		wg.Wait()
	}
	use(0, few)
	before, err := resident(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	use(few, services)
	after, err := resident(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB with %d services, %d KiB with %d", before>>10, few, after>>10, services)
	if growth := (after - before) / (services - few); growth > growthPerService {
		t.Errorf("%d bytes for each service that is used, and %d are allowed", growth, growthPerService)
	}
}

// proxyOf is the HTTP proxy that the program beside a sidecar is given.
func proxyOf(t *testing.T, p *process) *url.URL {
	t.Helper()
	_, rest, _ := strings.Cut(p.log.String(), `msg="application started"`)
	_, rest, _ = strings.Cut(rest, "pid=")
	pid, _, _ := strings.Cut(rest, "\n")
	text, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	for v := range strings.SplitSeq(string(text), "\x00") {
		if value, ok := strings.CutPrefix(v, "HTTP_PROXY="); ok {
			u, err := url.Parse(value)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
	}
	t.Fatal("the program has no HTTP_PROXY")
	return nil
}
