package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// descriptors is how many files the process has open.
func (p *process) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "fd"))
	if err != nil {
		p.t.Skip(err)
	}
	return len(entries)
}

// slow is a kind of client that must be cut off.
type slowClient struct {
	first string        // what it sends at once
	drip  string        // what it repeats every tick, for ever
	least time.Duration // when it is cut off, at the earliest
	want  string        // how the answer begins; empty for none
}

// Hundreds of clients that are slow in every way: each is cut off in its time,
// endpoints are let go, and others do not notice.
func TestSlowClientsAreCutOff(t *testing.T) { // not parallel: it takes the whole machine
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			w.Header().Set("Content-Length", "268435456")
			io.CopyN(w, zeros{}, 256<<20)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			fmt.Fprintf(w, "%d", len(body))
		}
	})
	port, patient := ownPort(t), ownPort(t)
	p := start(t, documents(plainOn(port), strings.Replace(plainOn(patient), "{name: edge}", "{name: patient}", 1),
		strings.Replace(routeDoc("app", ""), "{name: edge}", "{name: edge}, {name: patient}", 1), backendDoc("app", app.addr), policyDoc("app", "HTTPRoute", "app", "connectionPool: {idleTimeout: 300ms}"),
		policyDoc("edge", "Gateway", "edge", `
client:
  limits: {bodyBytes: 100000, headerBytes: 4096, headerCount: 20}
  timeouts: {header: 600ms, idle: 600ms, bodyIdle: 600ms, request: 1200ms}
`)))
	before := p.descriptors()
	const head, body = 600 * time.Millisecond, 1200 * time.Millisecond
	kinds := map[string]slowClient{
		"silent":             {least: head},
		"half a line":        {first: "GET / HT", least: head, want: "HTTP/1.1 408 "},
		"dripping header":    {first: "GET / HTTP/1.1\r\nHost: a\r\n", drip: "X: y\r\n", least: head, want: "HTTP/1.1 408 "},
		"dripping name":      {first: "GET / HTTP/1.1\r\nHost: a\r\nX", drip: "x", least: head, want: "HTTP/1.1 408 "},
		"body that stops":    {first: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", least: head, want: "HTTP/1.1 408 "},
		"dripping body":      {first: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n", drip: "x", least: body, want: "HTTP/1.1 408 "},
		"dripping chunks":    {first: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\nx\r\n", least: body, want: "HTTP/1.1 408 "},
		"dripping extension": {first: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", drip: "x", least: body, want: "HTTP/1.1 408 "},
		"dripping trailer":   {first: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", drip: "X: y\r\n", least: 0, want: "HTTP/1.1 4"},
		"idle after one":     {first: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", least: head, want: "HTTP/1.1 200 "},
		"many empty lines":   {first: "", drip: "\r\n", least: 0, want: "HTTP/1.1 4"},
		"does not read":      {first: "GET /long HTTP/1.1\r\nHost: a\r\n\r\n", least: head, want: "deaf"},
	}
	l := newLoad(t)
	for range 2 {
		l.add(true, patient, nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", saying("2"))
		l.add(false, patient, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", saying("0"))
	}
	var wg sync.WaitGroup
	for name, k := range kinds {
		for range 10 {
			wg.Go(func() {
				if err := k.suffer(port); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	wg.Wait()
	l.passed(50)
	l.end()
	eventually(t, "all descriptors are given back", func() bool { return p.descriptors() <= before+10 })
	eventually(t, "no connection is left", func() bool { return p.metric("gridway_listener_connections") == 0 })
}

// suffer is a client's life, from its connection to its end.
func (k slowClient) suffer(port int) error {
	begun := time.Now()
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(begun.Add(2 * patience))
	if _, err := io.WriteString(conn, k.first); err != nil {
		return err
	}
	if k.want == "deaf" {
		// Nothing is read; that the connection is over shows in a write.
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := conn.Write([]byte("\r\n")); err != nil {
				break
			}
		}
	} else {
		stop := make(chan struct{})
		defer close(stop)
		go k.dripInto(conn, stop)
		answer, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(answer), k.want) {
			return fmt.Errorf("answered %.200q", answer)
		}
	}
	if took := time.Since(begun); took < k.least || took > 6*time.Second {
		return fmt.Errorf("cut off after %v", took)
	}
	return nil
}

func (k slowClient) dripInto(conn net.Conn, stop chan struct{}) {
	if k.drip == "" {
		return
	}
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := io.WriteString(conn, k.drip); err != nil {
				return
			}
		case <-stop:
			return
		}
	}
}

// Limits that are passed are answered at once, whatever else the client does.
func TestLimitsOfTheProcess(t *testing.T) {
	t.Parallel()
	app := serve(t, summer)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr), policyDoc("edge", "Gateway", "edge", `
client: {limits: {bodyBytes: 1000, headerBytes: 2048, headerCount: 10, connections: 8}}`)))
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	for name, c := range map[string]struct {
		in     string
		status int
		reason string
	}{
		"as many fields as may be":   {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 9) + "\r\n", 200, ""},
		"one field more":             {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 10) + "\r\n", 431, "HeaderTooLarge"},
		"header that never ends":     {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 4000), 431, "HeaderTooLarge"},
		"first line that never ends": {"GET /" + strings.Repeat("y", 4000), 414, "URITooLong"},
		"body as long as may be":     {post + "Content-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000), 200, ""},
		"announced body":             {post + "Content-Length: 1001\r\n\r\n", 413, "BodyTooLarge"},
		"announced body of Expect":   {post + "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413, "BodyTooLarge"},
		"chunks":                     {post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("x", 1001), 413, "BodyTooLarge"},
		"announced chunk":            {post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413, "BodyTooLarge"},
		"announced later chunk":      {post + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + strings.Repeat("x", 1000) + "\r\n1;a=b\r\n", 413, "BodyTooLarge"},
		"chunks as long as may be":   {post + "Transfer-Encoding: chunked\r\n\r\n3e0\r\n" + strings.Repeat("x", 992) + "\r\n8\r\n" + strings.Repeat("x", 8) + "\r\n0\r\n\r\n", 200, ""},
		"many chunks":                {post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 1001), 413, "BodyTooLarge"},
		"trailers":                   {post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 2000), 400, "BadRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			w := dialPort(t, port)
			w.send(c.in)
			resp, _ := w.mustRespond("POST")
			want(t, resp, c.status, c.reason)
			if c.status != 200 && !resp.Close && name != "announced body" { // a short one is read and thrown away
				t.Error("the connection goes on")
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("answered after %v", took)
			}
			w.Close()
		})
	}
	eventually(t, "no connection is left", func() bool { return p.metric("gridway_listener_connections") == 0 })
	var held []*wire
	for range 8 {
		c := dialPort(t, port)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.mustRespond("GET")
		held = append(held, c)
	}
	for range 5 {
		c := dialPort(t, port)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, _ := c.mustRespond("GET")
		want(t, resp, 503, "ConnectionLimit")
		c.Close()
	}
	for _, c := range held { // those who are in are not bothered
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
}
