package member

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gridway/gridway/internal/mesh/nameserver"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Questions of a workload are an edge to each resolver. A name that is not there is no
// failure; no answer is one.
func TestQuestionsAreAnEdge(t *testing.T) {
	m := &member{signals: &signal.Observer{Recorder: signal.New(nil)}}
	asked := m.asked("shop", "cart")
	resolver := netip.MustParseAddr("192.0.2.53")
	for _, a := range []nameserver.Asked{
		{Resolver: resolver, Answered: true, Code: dns.RcodeSuccess, Took: time.Millisecond, Question: 30, Answer: 90},
		{Resolver: resolver, Answered: true, Code: dns.RcodeNameError, Took: time.Millisecond, Question: 30, Answer: 80},
		{Resolver: resolver, Answered: true, Code: dns.RcodeServerFailure, Took: time.Millisecond, Question: 30, Answer: 30, Stream: true},
		{Resolver: resolver, Took: 2 * time.Second, Question: 30},
	} {
		asked(&a)
	}
	list, _ := m.signals.Totals()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	e := list[0]
	if from, to := e.Source.Party().ID(), e.Destination.Party().ID(); from != "shop/cart" || to != "external:192.0.2.53" || e.Protocol != signal.DNS || e.Side != signal.Client {
		t.Errorf("%s > %s %s %s", from, to, e.Protocol, e.Side)
	}
	if e.Classes != [signal.Classes]uint64{1, 0, 1, 0, 1, 1} || e.Errors != 2 || e.In != 120 || e.Out != 200 || e.InDatagrams != 3 || e.OutDatagrams != 2 {
		t.Errorf("%+v", e.Counts)
	}
}
