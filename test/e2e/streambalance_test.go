package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Streams go to backends in the proportion of their weights, and to none of
// weight 0.
func TestStreamWeights(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	route := strings.NewReplacer("name: three}", "name: three, weight: 3}", "name: one}", "name: one, weight: 1}", "name: none}", "name: none, weight: 0}").
		Replace(streamRoute("TCPRoute", "tcp", "", "three", "one", "none"))
	start(t, documents(gatewayOn("", on("tcp", "TCP", port)), route,
		backendDoc("three", greeter(t, "three")), backendDoc("one", greeter(t, "one")), backendDoc("none", greeter(t, "none"))))
	const all = 400
	count := map[string]int{}
	for range all {
		c := dialPort(t, port)
		count[c.line()]++
		c.Close()
	}
	// 300 of 400 are to be expected; with chances of 3 to 1 it is within 50 of that
	// but for one time in ten million.
	if n := count["220 three"]; n < 250 || n > 350 || count["220 one"] != all-n {
		t.Errorf("%v", count)
	}
}

// An endpoint that refuses connections, and one that hangs up on what it is
// sent, are ejected; one that speaks is not, whoever ends the stream.
func TestStreamOutliers(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"refuses": refused(t),
		"hangs up": serveTCP(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.SetLinger(0)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := ownPort(t)
			p := start(t, documents(gatewayOn("", on("tcp", "TCP", port)), streamRoute("TCPRoute", "tcp", "", "app"),
				backendDoc("app", bad, echoTCP(t)),
				policyDoc("outliers", "TCPRoute", "tcp", `retry: {attempts: 0}
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
outlierDetection: {consecutive5xx: 3, consecutiveGatewayErrors: 3, interval: 1s, baseEjection: 5m, maxPercent: 50}`)))
			echoed := func() bool {
				c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					return false
				}
				w := newWire(t, c)
				defer c.Close()
				if _, err := c.Write([]byte("hello\n")); err != nil {
					return false
				}
				got, err := w.r.ReadString('\n')
				return err == nil && got == "hello\n"
			}
			eventually(t, "the endpoint is ejected", func() bool {
				echoed()
				return p.metric("gridway_cluster_outlier_ejections_total", "default/app") >= 1
			})
			for range 20 {
				if !echoed() {
					t.Fatal("a stream went to the endpoint that is ejected")
				}
			}
			if n := p.metric("gridway_cluster_outlier_ejections_total", "default/app"); n != 1 {
				t.Errorf("%v ejections", n)
			}
		})
	}
}
