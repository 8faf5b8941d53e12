package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// effect is what the admin API of a process says about a change.
type effect struct {
	Valid    bool
	Problems []struct {
		Message string
		Place   struct{ Line int }
	}
	Objects   []struct{ Op, Object string }
	Behaviour []struct{ Count int }
	InFiles   []struct{ Object string }
	Replay    struct {
		Requests, Same, Different, Undecided int
		Differences                          []struct {
			Count   int
			Aspects []struct{ Name, Old, New string }
		}
	}
}

func (p *process) effect(text, query string) (e effect) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", "http://localhost/v1/effect"+query, strings.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/yaml")
	resp, err := p.api.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || json.Unmarshal(body, &e) != nil {
		p.t.Fatalf("%d %v: %s", resp.StatusCode, err, body)
	}
	return e
}

// What a change would do is said of requests that have passed, over HTTP/1.1 and HTTP/2,
// and the change is not made.
func TestEffectOfAChange(t *testing.T) {
	p, port := one(t, ok, unchanged)
	for _, c := range []*http.Client{http.DefaultClient, http2Client(t, nil)} {
		for _, path := range []string{"/old/a", "/old/b", "/new"} {
			resp, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	http.DefaultClient.CloseIdleConnections()
	const rule = "- {matches: [{path: {value: /new}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}\n"
	var e effect
	eventually(t, "all requests are remembered", func() bool {
		e = p.effect(ruleDoc(rule), "")
		return e.Replay.Requests == 6
	})
	if !e.Valid || e.Replay.Same != 2 || e.Replay.Different != 4 || len(e.Behaviour) == 0 || len(e.Objects) != 1 || e.Objects[0].Op != "changed" || len(e.InFiles) != 1 {
		t.Errorf("%+v", e)
	}
	if d := e.Replay.Differences; len(d) != 1 || d[0].Count != 4 || d[0].Aspects[len(d[0].Aspects)-1].New != "404 RouteNotFound" {
		t.Errorf("%+v", d)
	}
	if e := p.effect(strings.Replace(ruleDoc(rule), "rules:", "rulez:", 1), ""); e.Valid || len(e.Problems) == 0 || e.Problems[0].Place.Line != 6 {
		t.Errorf("%+v", e)
	}
	if e := p.effect("", "?delete=Backend/default/app"); e.Replay.Different != 6 {
		t.Errorf("%+v", e)
	}
	if n := p.revision(); n != 1 {
		t.Errorf("revision %d", n)
	}
	p.terminate()
	p.ended(patience)
}
