package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Sessions of UDP leave records as connections of TCP do: one that was refused with the
// policy and its place, one whose endpoint is not there with what was tried.
func TestSessionsAreRemembered(t *testing.T) {
	t.Parallel()
	denied, gone, nobody := ownPort(t), ownPort(t), ownPort(t)
	p := start(t, documents(
		gatewayOn("", on("denied", "UDP", denied), on("gone", "UDP", gone)), backendDoc("nobody", fmt.Sprintf("127.0.0.1:%d", nobody)),
		streamRoute("UDPRoute", "denied", "", "nobody"), streamRoute("UDPRoute", "gone", "", "nobody"),
		shieldDoc("locals", "UDPRoute", "denied", "addresses: {deny: [{cidrs: [127.0.0.0/8]}]}"),
	))
	say := func(port int) {
		t.Helper()
		c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	remembered := func(port int, route string) (found trace.Record) {
		t.Helper()
		eventually(t, "a record of "+route, func() bool {
			say(port)
			var list struct {
				Traces []struct{ TraceID string }
			}
			if err := json.Unmarshal([]byte(p.admin("/v1/traces?errors=true&route="+route)), &list); err != nil {
				t.Fatal(err)
			}
			for _, one := range list.Traces {
				var v adminapi.Trace
				if err := json.Unmarshal([]byte(p.admin("/v1/traces/"+one.TraceID)), &v); err != nil {
					t.Fatal(err)
				}
				if len(v.Hops) == 1 && v.Hops[0].Route == "UDPRoute/default/"+route {
					found = v.Hops[0].Record
					return true
				}
			}
			return false
		})
		return found
	}
	r := remembered(denied, "denied")
	if !r.Stream || !r.Denied || r.Failed || r.Protocol != "UDP" || r.Reason != "AddressDenied" || r.Client != "127.0.0.1" || r.Of != "Gateway/default/edge" || len(r.Tries) != 0 {
		t.Errorf("refused: %+v", r)
	}
	if len(r.Decisions) != 1 || r.Decisions[0].Verdict != trace.Denied || r.Decisions[0].Policy != "default/locals" || r.Decisions[0].Rule != "addresses.deny" ||
		r.Decisions[0].Kind != "ShieldPolicy" || r.Decisions[0].Place == nil || !strings.HasSuffix(r.Decisions[0].Place.File, ".yaml") {
		t.Errorf("the decision: %+v", r.Decisions)
	}
	r = remembered(gone, "gone")
	if !r.Stream || !r.Failed || r.Denied || !strings.Contains(r.Flags, "UpstreamConnectFailure") || r.Place == nil || !strings.HasPrefix(r.Cluster, "Backend/default/nobody") {
		t.Errorf("failed: %+v", r)
	}
	if len(r.Tries) != 1 || r.Tries[0].Endpoint != fmt.Sprintf("127.0.0.1:%d", nobody) || r.Tries[0].Reason != "UpstreamConnectFailure" {
		t.Errorf("the try: %+v", r.Tries)
	}
}
