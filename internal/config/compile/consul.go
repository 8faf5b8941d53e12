package compile

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultConsulAgent = "http://127.0.0.1:8500"
	// maxConsulToken bounds the bytes of an ACL token.
	maxConsulToken = 4096
)

// judgeConsul finds the semantic errors of the services of a Backend.
func judgeConsul(list []v1alpha1.BackendConsul) []fault {
	var faults []fault
	for i := range list {
		c := &list[i]
		add := func(field, message, remedy string) {
			faults = append(faults, fault{field: fmt.Sprintf("spec.consul[%d].%s", i, field), code: "InvalidValue", message: message, remedy: remedy})
		}
		switch {
		case c.Service == "":
			add("service", "the name of a service is needed", "")
		case strings.ContainsFunc(c.Service, unprintable):
			add("service", "control characters cannot be in the name of a service", "")
		}
		if p := deref(c.Port, 1); p < 1 || p > 65535 {
			add("port", fmt.Sprintf("%d is not between 1 and 65535", p), "")
		}
		for j, tag := range c.Tags {
			if tag == "" || strings.ContainsFunc(tag, unprintable) {
				add(fmt.Sprintf("tags[%d]", j), "a tag cannot be empty or have control characters", "")
			}
		}
		if c.Agent == nil {
			continue
		}
		address := deref(c.Agent.Address, defaultConsulAgent)
		if why := checkConsulAddress(address); why != "" {
			add("agent.address", "the address "+why, "write http://HOST:PORT, https://HOST:PORT or unix:PATH")
		} else if c.Agent.TLS != nil && !strings.HasPrefix(address, "https://") {
			add("agent.tls", "tls needs an address that begins with https://", "write https:// in agent.address, or remove tls")
		}
	}
	return faults
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

// checkConsulAddress says what is wrong with the address of an agent.
func checkConsulAddress(address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" || strings.ContainsRune(path, 0) {
			return "has no path of a Unix socket"
		}
		return ""
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "is not an address of an agent"
	case u.User != nil:
		return "has a user, whose password would be seen: agents take tokens (agent.tokenSecretRef)"
	case u.RawQuery != "" || u.Fragment != "":
		return "has more than a host, a port and a path"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "has no port from 1 to 65535"
		}
	}
	return ""
}

// consulServices compiles the services of a Backend. One whose agent cannot be asked
// as it should is left out, and the Backend says why.
func (c *compiler) consulServices(b *backend, list []v1alpha1.BackendConsul, used *store.Object) []ir.ConsulService {
	var out []ir.ConsulService
	for i := range list {
		s := &list[i]
		if s.Near != nil && s.Limit == nil {
			b.problems = append(b.problems, problemAt(used, fmt.Sprintf("spec.consul[%d].near", i), store.Warning, "NoEffect",
				"near has no effect without limit: all instances are used, in no order", "set limit, or remove near"))
		}
		agent := c.consulAgent(b, s.Agent, used, fmt.Sprintf("spec.consul[%d].agent", i))
		if agent == nil {
			continue
		}
		x := ir.ConsulService{
			Agent: agent, Service: s.Service, Tags: s.Tags,
			Datacenter: deref(s.Datacenter, ""), Namespace: deref(s.Namespace, ""), Partition: deref(s.Partition, ""),
			Filter: deref(s.Filter, ""), Near: deref(s.Near, ""),
			Warning: deref(s.Health, "") == v1alpha1.ConsulWarning, KeepLast: deref(s.WhenEmpty, "") == v1alpha1.ConsulKeep,
			TaggedAddress: deref(s.TaggedAddress, ""), Port: uint16(deref(s.Port, 0)), ZoneMeta: deref(s.ZoneMeta, ""),
			Priority: int(deref(s.Priority, 0)), Limit: int(deref(s.Limit, 0)),
		}
		switch deref(s.Consistency, "") {
		case v1alpha1.ConsulConsistent:
			x.Consistency = ir.ConsulConsistent
		case v1alpha1.ConsulStale:
			x.Consistency = ir.ConsulStale
		}
		out = append(out, x)
	}
	if len(out) == 0 && len(list) > 0 && len(b.base.Endpoints) == 0 && b.base.Discovery == nil {
		b.unusable("InvalidConsulAgent", "no agent of Consul can be asked for "+b.object.Key.String(), "see that Backend")
	}
	return out
}

// consulAgent returns nil if the agent cannot be asked as it should.
func (c *compiler) consulAgent(b *backend, a *v1alpha1.ConsulAgent, used *store.Object, field string) *ir.ConsulAgent {
	if a == nil {
		return &ir.ConsulAgent{Address: defaultConsulAgent}
	}
	out := &ir.ConsulAgent{Address: strings.TrimSuffix(deref(a.Address, defaultConsulAgent), "/"), MaxQueries: int(deref(a.MaxQueries, 0))}
	whole := true
	refuse := func(field, reason, message, remedy string) {
		whole = false
		b.message = message // no reason: what else it has is used
		b.problems = append(b.problems, problemAt(used, field, store.Warning, reason, message+"; the agent is not asked", remedy))
	}
	if r := a.TokenSecretRef; r != nil {
		key := store.Key{Kind: "Secret", Namespace: used.Key.Namespace, Name: r.Name}
		c.depend(b, key)
		if o := c.set.Get(key); o == nil {
			message, remedy := c.notFound(key)
			refuse(field+".tokenSecretRef", "InvalidSecretRef", message, remedy)
		} else {
			token := string(bytes.TrimSpace(secretEntry(o, entryName(r))))
			switch {
			case token == "":
				refuse(field+".tokenSecretRef", "InvalidSecretRef", fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there")
			case len(token) > maxConsulToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
				refuse(field+".tokenSecretRef", "InvalidSecretRef", fmt.Sprintf("entry %q of %s is not an ACL token", entryName(r), key),
					fmt.Sprintf("a token is one line of at most %d visible characters", maxConsulToken))
			}
			out.Token = token
		}
	}
	switch {
	case strings.HasPrefix(out.Address, "https://"):
		out.TLS = c.consulTLS(b, a.TLS, used, field+".tls", refuse)
	case strings.HasPrefix(out.Address, "http://") && out.Token != "":
		if u, err := url.Parse(out.Address); err == nil && !ir.Loopback(u.Hostname()) {
			b.problems = append(b.problems, problemAt(used, field+".address", store.Warning, "TokenUnprotected",
				fmt.Sprintf("the ACL token is sent to %s as it is: whoever is on the path can read it", out.Address), "ask an agent at https://, or on this host"))
		}
	}
	if !whole {
		return nil
	}
	return out
}

func (c *compiler) consulTLS(b *backend, t *v1alpha1.ConsulTLS, used *store.Object, field string, refuse func(field, reason, message, remedy string)) *ir.UpstreamTLS {
	if t == nil {
		return &ir.UpstreamTLS{System: true}
	}
	out := &ir.UpstreamTLS{ServerName: string(deref(t.ServerName, "")), System: len(t.CACertificateRefs) == 0}
	if !out.System {
		if out.CA = c.upstreamCA(b, used, field+".caCertificateRefs", t.CACertificateRefs); len(out.CA) == 0 {
			refuse(field+".caCertificateRefs", "InvalidCACertificateRef", "none of the caCertificateRefs is valid", "")
		}
	}
	if r := t.ClientCertificateRef; r != nil {
		c.depend(b, resolveKey(used, &r.Group, "", &r.Kind, "Secret", nil, r.Name))
		cert, reason, message, remedy := c.secretRef(used, gwv1.SecretObjectReference{Group: &r.Group, Kind: &r.Kind, Name: r.Name})
		switch {
		case cert == nil:
			refuse(field+".clientCertificateRef", reason, message, remedy)
		case message != "": // the last good one is shown
			b.problems = append(b.problems, problemAt(used, field+".clientCertificateRef", store.Warning, reason, message, remedy))
		}
		if cert != nil {
			out.Certificate = cert.ir
		}
	}
	return out
}
