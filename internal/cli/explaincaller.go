package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// caller is who sends an imagined request, as flags say it.
type caller struct {
	consumer, method, identity, certificate, at string
	claims                                      []string
}

func (c *caller) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.consumer, "consumer", "", "Consumer that calls: NAME or NAMESPACE/NAME")
	f.StringArrayVar(&c.claims, "claim", nil, `claim of the caller, NAME=VALUE, where the value is JSON or else text (repeatable)`)
	f.StringVar(&c.method, "auth-method", "", "method of authentication that has accepted the caller (default the policy's first)")
	f.StringVar(&c.identity, "identity", "", "SPIFFE ID that the client's certificate proves")
	f.StringVar(&c.certificate, "client-certificate", "", "file with the client's certificate, in PEM, which the listener is taken to have verified")
	f.StringVar(&c.at, "at", "", "when the request comes, as in 2026-11-30T08:00:00+01:00 (default now)")
}

// fill says it in the request.
func (c *caller) fill(r *dryrun.Request) error {
	r.At = c.at
	if c.consumer == "" && c.method == "" && c.identity == "" && c.certificate == "" && len(c.claims) == 0 {
		return nil
	}
	r.Caller = &dryrun.Imagined{Consumer: c.consumer, Method: c.method, Identity: c.identity}
	if c.certificate != "" {
		text, err := os.ReadFile(c.certificate)
		if err != nil {
			return fmt.Errorf("the client's certificate: %w", err)
		}
		r.Caller.Certificate = string(text)
	}
	for _, text := range c.claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("", "the claim %q has no value; write \"NAME=VALUE\"", text)
		}
		if r.Caller.Claims == nil {
			r.Caller.Claims = map[string]any{}
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		r.Caller.Claims[name] = v
	}
	return nil
}

// authorizationLines say what a policy makes of the request.
func authorizationLines(p *page, f *authorization.Finding) {
	name := strings.TrimPrefix(f.Policy, "default/")
	action := strings.ToLower(string(f.Action))
	if f.DryRun {
		action += ", dry run"
	}
	switch {
	case f.Broken:
		p.line("policy", name+": has errors, nothing gets through", f.Ref)
		return
	case f.Rule != "":
		p.line("policy", fmt.Sprintf("%s (%s): rule %s matches", name, action, f.Rule), f.RuleRef)
		return
	}
	p.line("policy", fmt.Sprintf("%s (%s): no rule matches", name, action), f.Ref)
	for _, r := range f.Fails {
		p.line("", fmt.Sprintf("  %s: not by its %s", r.Rule, r.Field), r.Ref)
	}
	if f.Omitted > 0 {
		p.line("", fmt.Sprintf("  and %d more", f.Omitted), ir.Ref{})
	}
}
