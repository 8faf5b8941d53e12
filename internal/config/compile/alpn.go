package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
)

// optionALPN is the option of a BackendTLSPolicy that names what streams offer to
// endpoints, with commas between several.
const optionALPN gwv1.AnnotationKey = "gridway.dev/alpn"

// listedProtocols reads that option.
func listedProtocols(options map[gwv1.AnnotationKey]gwv1.AnnotationValue) []v1alpha1.ALPNProtocol {
	list, ok := options[optionALPN]
	if !ok {
		return nil
	}
	var out []v1alpha1.ALPNProtocol
	for p := range strings.SplitSeq(string(list), ",") {
		out = append(out, v1alpha1.ALPNProtocol(strings.TrimSpace(p)))
	}
	return out
}

func protocols(list []v1alpha1.ALPNProtocol) []string {
	var out []string
	for _, p := range list {
		if !slices.Contains(out, string(p)) {
			out = append(out, string(p))
		}
	}
	return out
}

// judgeALPN says what is wrong with the name of a protocol of streams.
func judgeALPN(p v1alpha1.ALPNProtocol) (why, remedy string) {
	switch {
	case p == "":
		return "the name of a protocol is empty", "name one, or leave the list out"
	case len(p) > 255:
		return fmt.Sprintf("the name of a protocol has %d bytes, and TLS allows 255", len(p)), "see RFC 7301 §3.1"
	case strings.ContainsFunc(string(p), func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Sprintf("%q is not the name of a protocol: use visible ASCII characters", p), "for example postgresql, mqtt or imap"
	case p == "acme-tls/1":
		return "acme-tls/1 is for the challenges of certificate authorities, which are answered in any case", "leave it out"
	case p == "h3":
		return "h3 is spoken over QUIC, not over TCP", "leave it out; HTTPS listeners have client.http3"
	}
	return "", ""
}

// noteIdleALPN warns of policies whose client.tls.alpn none of their listeners follows.
func (c *compiler) noteIdleALPN() {
	followed, seen := map[*trafficPolicy]bool{}, []*trafficPolicy(nil)
	for _, x := range c.sections {
		for _, b := range clientChain(x) {
			if t := b.policy.spec.Client.TLS; t == nil || len(t.ALPN) == 0 {
				continue
			}
			if _, known := followed[b.policy]; !known {
				seen = append(seen, b.policy)
			}
			followed[b.policy] = followed[b.policy] || x.spec.Protocol == gwv1.TLSProtocolType && x.terminates()
		}
	}
	for _, p := range seen {
		if !followed[p] {
			c.report(problemAt(p.used, "spec.client.tls.alpn", store.Warning, "NoEffect",
				"no listener here has protocol TLS and mode Terminate: HTTPS listeners agree on h2 and http/1.1, and what is passed through is the endpoint's",
				"leave it out; client.http2 decides about h2"))
		}
	}
}
