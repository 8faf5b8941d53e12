//go:build linux

package conformance

import (
	"context"
	"net"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// startDNS stands for the suite's CoreDNS, whose plugin "whoami" answers with
// the address that a query came from.
func (w *workloads) startDNS(ctx context.Context, c client.Client, d *appsv1.Deployment) error {
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := &pod{
		key:    client.ObjectKey{Namespace: d.Namespace, Name: d.Name + "-0-0"},
		labels: d.Spec.Template.Labels,
		ports:  map[int32]int32{53: int32(pc.LocalAddr().(*net.UDPAddr).Port)},
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(whoami)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ActivateAndServe()
	}()
	w.t.Cleanup(func() {
		_ = pc.Close()
		<-done
	})
	w.mu.Lock()
	w.pods[p.key] = p
	w.mu.Unlock()
	return c.Create(ctx, p.object())
}

func whoami(w dns.ResponseWriter, q *dns.Msg) {
	a := new(dns.Msg).SetReply(q)
	from := w.RemoteAddr().(*net.UDPAddr)
	a.Extra = append(a.Extra, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: from.IP})
	_ = w.WriteMsg(a)
}
