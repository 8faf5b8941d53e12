package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// caller is who sends an imagined request, as flags say it.
type caller struct {
	consumer, method, identity, certificate, at string
	claims                                      []string
	// token, key and basic are files with credentials.
	token, key, basic string
}

func (c *caller) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.consumer, "consumer", "", "Consumer that calls: NAME or NAMESPACE/NAME")
	f.StringArrayVar(&c.claims, "claim", nil, `claim of the caller, NAME=VALUE, where the value is JSON or else text (repeatable)`)
	f.StringVar(&c.method, "auth-method", "", "method of authentication that has accepted the caller (default the policy's first)")
	f.StringVar(&c.identity, "identity", "", "SPIFFE ID that the client's certificate proves")
	f.StringVar(&c.certificate, "client-certificate", "", "file with the client's certificate, in PEM, which the listener is taken to have verified")
	f.StringVar(&c.token, "token-file", "", "file with a token that the request is sent with, - for the standard input")
	f.StringVar(&c.key, "api-key-file", "", "file with an API key that the request is sent with, - for the standard input")
	f.StringVar(&c.basic, "basic-file", "", "file with NAME:PASSWORD that the request is sent with, - for the standard input")
	f.StringVar(&c.at, "at", "", "when the request comes, as in 2026-11-30T08:00:00+01:00 (default now)")
}

// fill says it in the request.
func (c *caller) fill(r *dryrun.Request, in io.Reader) error {
	r.At = c.at
	if err := c.credential(r, in); err != nil {
		return err
	}
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

// credential reads what the request is sent with. Files have it, since arguments of
// a command are seen by everybody on the machine, and remembered by shells.
func (c *caller) credential(r *dryrun.Request, in io.Reader) error {
	if c.token == "-" && c.key == "-" || c.token == "-" && c.basic == "-" || c.key == "-" && c.basic == "-" {
		return usagef("", "only one credential can come from the standard input; give files for the others")
	}
	var sent dryrun.Credential
	for _, one := range []struct {
		file, flag string
		into       *string
	}{{c.token, "--token-file", &sent.Token}, {c.key, "--api-key-file", &sent.APIKey}, {c.basic, "--basic-file", &sent.Basic}} {
		if one.file == "" {
			continue
		}
		text, err := readCredential(one.file, in)
		if err != nil {
			return fmt.Errorf("%s: %w", one.flag, err)
		}
		*one.into = text
		r.Credential = &sent
	}
	return nil
}

// maxCredentialFile bounds what is read of a file, in bytes.
const maxCredentialFile = 64 << 10

func readCredential(file string, in io.Reader) (string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCredentialFile+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxCredentialFile:
		return "", fmt.Errorf("it has more than %d bytes", maxCredentialFile)
	}
	out := strings.TrimRight(string(text), "\r\n")
	if out == "" {
		return "", errors.New("it is empty")
	}
	return out, nil
}

// authenticationLines say what the methods of the policy make of the request.
func authenticationLines(p *page, d *dryrun.Decision) {
	for i := range d.Authentication {
		f := &d.Authentication[i]
		label := ""
		if i == 0 {
			label = "who"
		}
		name := f.Method
		if f.Kind != name {
			name += " (" + f.Kind + ")"
		}
		text := name + ": " + outcomeText(f)
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		p.line(label, text, ir.Ref{})
	}
}

func outcomeText(f *authentication.Finding) string {
	switch f.Outcome {
	case authentication.Accepted:
		return "accepted"
	case authentication.Assumed:
		return "taken to be accepted"
	case authentication.Absent:
		return "no credential"
	case authentication.Untried:
		return "not tried"
	case authentication.Undecided:
		return "nobody can tell (" + f.Fault + ")"
	}
	if f.Fault == "" {
		return "refused"
	}
	return "refused (" + f.Fault + ")"
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
