package dryrun

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Credential is what the request is sent with, in the place where the policy that is
// in force looks for it first. It is in no Decision.
type Credential struct {
	// Token is for jwt and oauth2Introspection, APIKey for apiKey.
	Token  string `json:"token,omitempty"`
	APIKey string `json:"apiKey,omitempty"`
	// Basic is a name and a password with a colon between them.
	Basic string `json:"basic,omitempty"`
}

// maxCredential bounds each of them in bytes.
const maxCredential = 64 << 10

func (c *Credential) check() error {
	if c == nil {
		return nil
	}
	for what, text := range map[string]string{"token": c.Token, "API key": c.APIKey, "name and password": c.Basic} {
		if len(text) > maxCredential {
			return fmt.Errorf("the %s has more than %d bytes", what, maxCredential)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) && what != "name and password" {
			return fmt.Errorf("the %s has control characters, such as a line break", what)
		}
	}
	if c.Basic != "" && !strings.Contains(c.Basic, ":") {
		return errors.New("a name and a password need a colon between them")
	}
	return nil
}

// put shows the credential to the methods of a policy.
func (c *Credential) put(x *filter.Exchange, p *ir.Authentication) {
	if c == nil || p == nil {
		return
	}
	token, key := c.Token, c.APIKey
	for i := range p.AnyOf {
		switch m := &p.AnyOf[i]; {
		case m.JWT != nil && token != "":
			show(x, m.JWT.From, token)
			token = ""
		case m.Introspection != nil && token != "":
			show(x, m.Introspection.From, token)
			token = ""
		case m.APIKey != nil && key != "":
			show(x, m.APIKey.From, key)
			key = ""
		case m.Basic != nil && c.Basic != "":
			x.Req.Header.AddID(httpmsg.NameAuthorization, []byte("Basic "+base64.StdEncoding.EncodeToString([]byte(c.Basic))))
		}
	}
}

// show puts a value where it is looked for first.
func show(x *filter.Exchange, from []ir.CredentialSource, value string) {
	if len(from) == 0 {
		return
	}
	switch s := from[0]; {
	case s.Header != "":
		x.Req.Header.Add([]byte(s.Header), []byte(s.Prefix+value))
	case s.Query != "":
		pair := s.Query + "=" + escape(value)
		if len(x.Req.Query) > 0 {
			pair = string(x.Req.Query) + "&" + pair
		}
		x.Req.Query, x.Req.HasQuery = []byte(pair), true
	default:
		x.Req.Header.Add([]byte("Cookie"), []byte(s.Cookie+"="+value))
	}
}

// escape is percent-encoding of all but unreserved characters (RFC 3986 §2.3).
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// unused says which credentials no method of the policy looks for.
func (c *Credential) unused(p *ir.Authentication) (notes []string) {
	if c == nil {
		return nil
	}
	has := func(kinds ...string) bool {
		return p != nil && slices.ContainsFunc(p.AnyOf, func(m ir.AuthenticationMethod) bool { return slices.Contains(kinds, m.Kind()) })
	}
	if c.Token != "" && !has("jwt", "oauth2Introspection") {
		notes = append(notes, "no method of authentication takes the token here")
	}
	if c.APIKey != "" && !has("apiKey") {
		notes = append(notes, "no method of authentication takes the API key here")
	}
	if c.Basic != "" && !has("basic") {
		notes = append(notes, "no method of authentication takes the name and password here")
	}
	return notes
}

// authentications says what each method of the policy makes of the request, which
// is an exchange of its own.
func authentications(x *filter.Exchange, guard []filter.RequestFilter) (policy string, list []authentication.Finding) {
	for _, f := range guard {
		if a, is := f.(*authentication.Authentication); is {
			return a.Policy().Policy, a.Explain(x)
		}
	}
	return "", nil
}

// places are those where the policy's methods look for credentials.
func places(p *ir.Authentication) (from []ir.CredentialSource) {
	if p == nil {
		return nil
	}
	for i := range p.AnyOf {
		switch m := &p.AnyOf[i]; {
		case m.APIKey != nil:
			from = append(from, m.APIKey.From...)
		case m.JWT != nil:
			from = append(from, m.JWT.From...)
		case m.Introspection != nil:
			from = append(from, m.Introspection.From...)
		}
	}
	return from
}

// concealed is a request without the credentials that were sent with it.
func (r Request) concealed(p *ir.Authentication) Request {
	r.Credential = nil
	from := places(p)
	r.Headers = concealHeaders(r.Headers, from)
	if head, query, has := strings.Cut(r.URL, "?"); has {
		r.URL = head + "?" + concealQuery(query, from)
	}
	return r
}

func concealHeaders(list []ir.Header, from []ir.CredentialSource) []ir.Header {
	list = slices.Clone(list)
	for i := range list {
		h := &list[i]
		if ir.Credential(h.Name, h.Value) || slices.ContainsFunc(from, func(s ir.CredentialSource) bool { return strings.EqualFold(s.Header, h.Name) }) {
			h.Value = ir.Hidden
		}
	}
	return list
}

func concealQuery(query string, from []ir.CredentialSource) string {
	query, _ = ir.Veil(ir.Hide).Query(query, func(name string) bool {
		return slices.ContainsFunc(from, func(s ir.CredentialSource) bool { return s.Query != "" && s.Query == name })
	})
	return query
}
