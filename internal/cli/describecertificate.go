package cli

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// certificateTexts describes which certificates a method accepts.
func certificateTexts(m *ir.ClientCertificateAuth) []string {
	out := []string{"verified by the listener"}
	if m.FromHeader {
		out[0] += " or by a trusted proxy"
	}
	var rules []string
	for i := range m.Allow {
		rules = append(rules, certificateRuleText(&m.Allow[i]))
	}
	if len(rules) > 0 {
		out = append(out, "with "+strings.Join(rules, " or "))
	}
	if r := m.Revocation; r != nil {
		text := "not revoked"
		if r.PassStale || r.PassMissing {
			text += ", as far as is known"
		}
		out = append(out, text)
	}
	if m.ConsumerRequired {
		out = append(out, "of a Consumer")
	}
	return out
}

func certificateRuleText(r *ir.CertificateRule) string {
	var networks []string
	for _, n := range r.IPs {
		networks = append(networks, n.String())
	}
	var parts []string
	for _, p := range []struct {
		name   string
		values []string
	}{
		{"CN", r.CommonNames},
		{"O", r.Organizations},
		{"OU", r.OrganizationalUnits},
		{"subject", r.Subjects},
		{"DNS name", r.DNSNames},
		{"URI", r.URIs},
		{"email", r.Emails},
		{"IP", networks},
		{"SPIFFE ID", r.Identities},
		{"fingerprint", r.Fingerprints},
		{"issuer", r.Issuers},
	} {
		if len(p.values) > 0 {
			parts = append(parts, p.name+" "+strings.Join(p.values, "|"))
		}
	}
	return strings.Join(parts, ", ")
}
