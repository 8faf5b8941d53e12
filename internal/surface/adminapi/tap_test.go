package adminapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

func TestTap(t *testing.T) {
	base := start(t, newProcess().options())
	for _, c := range []struct {
		query, accept, media string
		want                 []string
	}{
		{"max=2&path=/a", "", "application/x-ndjson", []string{`{"type":"exchange","proxy":"shop/cart/10.0.0.1:15008"`, "\n" + `{"type":"exchange","proxy":"shop/orders/`, `"path":"/a"`}},
		{"max=1", "text/event-stream", "text/event-stream", []string{"data: {", "}\n\n"}},
		{"max=1&proxy=shop/orders", "", "application/x-ndjson", []string{`"proxy":"shop/orders/10.0.0.2:15008"`}},
		{"for=1ms&proxy=nobody&host=waits", "", "application/x-ndjson", nil},
	} {
		status, header, body := (request{path: "/v1/tap?" + c.query, header: http.Header{"Accept": {c.accept}}}).do(t, base)
		if status != 200 || header.Get("Content-Type") != c.media {
			t.Errorf("%s: %d, %s, %s", c.query, status, header, body)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is not in %s", c.query, want, body)
			}
		}
		if c.want == nil && body != "" {
			t.Errorf("%s: %s", c.query, body)
		}
	}
}

func TestTapsThatAreWrong(t *testing.T) {
	base := start(t, newProcess().options())
	for query, want := range map[string]string{
		"max=0": "max must be 1 to 1000000", "max=many": "max must be", "status=9xx": "status: ", "colour=red": "is no parameter of a tap", "a=%zz": "cannot be read",
		strings.Repeat("proxy=a&", 65): "proxy may be there 64 times", "for=2h": "for: ",
		"to=" + strings.Repeat(strings.Repeat("x", 500)+"&to=", 12) + "x": "longer than 4096 bytes",
	} {
		if status, _, body := (request{path: "/v1/tap?" + query}).do(t, base); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%.60s: %d %s", query, status, body)
		}
	}
}

// A tap ends with the server, without waiting for those that look.
func TestATapEndsWithTheServer(t *testing.T) {
	s, err := adminapi.New(t.Context(), newProcess().options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c := newClient(t, client.Options{Address: s.Addr().String()})
	began := time.Now()
	n := 0
	err = c.Tap(t.Context(), url.Values{"host": {"waits"}}, func(*tap.Event, []byte) error {
		if n++; n == 2 {
			stop()
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d events, %v", n, err)
	}
	if err := <-done; err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestATapIsWrittenDown(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	base := start(t, opt)
	look := func(role access.Role) error {
		return newClient(t, client.Options{Address: base, Token: tokens[role]}).Tap(t.Context(), url.Values{"max": {"1"}, "path": {"/cart*"}}, func(e *tap.Event, _ []byte) error { return nil })
	}
	var f *adminapi.Fault
	if err := look(access.Viewer); !errors.As(err, &f) || f.Status != http.StatusForbidden || !strings.Contains(f.Detail, "needs the role operator") {
		t.Errorf("%v", err)
	}
	if err := look(access.Operator); err != nil {
		t.Error(err)
	}
	list, err := opt.Access.Audit(t.Context(), access.AuditQuery{Object: "traffic"})
	if err != nil || len(list) != 1 || list[0].Action != "tap" || !strings.Contains(string(list[0].After), "path=%2Fcart") || list[0].Role != "operator" {
		t.Errorf("%+v, %v", list, err)
	}
}
