package signin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
)

const (
	// maxText bounds texts in bytes, maxList lists.
	maxText = 512
	maxList = 200
)

// parse reads settings. All that is wrong is in the error, with lines. Load reads the
// files that they name.
func parse(file string, text []byte, load func(name string) ([]byte, error)) (*Settings, error) {
	r := &reader{file: file, load: load}
	var doc yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: is empty; it needs issuer, clientID, console and roles", file)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := in.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: must be one document of YAML", file)
	}
	s := r.settings(doc.Content[0])
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// reader notes what is wrong with a file.
type reader struct {
	file string
	load func(name string) ([]byte, error)
	errs []error
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...)))
}

// fields reads a mapping whose fields are these and no others.
func (r *reader) fields(what string, n *yaml.Node, fields map[string]func(*yaml.Node)) {
	known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must have fields: %s", what, known)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := fields[key.Value]
		switch {
		case read == nil:
			r.fail(key, "%s has no field %.60q; it may have %s", what, key.Value, known)
		case seen[key.Value]:
			r.fail(key, "%s is there twice", key.Value)
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

// text reads a scalar, and has it judged.
func (r *reader) text(what string, take func(text string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch {
		case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
			r.fail(n, "%s must be a text", what)
		case n.Value == "" || len(n.Value) > maxText || strings.ContainsFunc(n.Value, func(c rune) bool { return c < ' ' || c == 0x7f }):
			r.fail(n, "%s must have 1 to %d bytes, without control characters", what, maxText)
		default:
			if err := take(n.Value); err != nil {
				r.fail(n, "%s: %v", what, err)
			}
		}
	}
}

// list reads a list of texts.
func (r *reader) list(what string, take func(list []string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || len(n.Content) > maxList {
			r.fail(n, "%s must be a list of 1 to %d texts", what, maxList)
			return
		}
		var out []string
		for _, item := range n.Content {
			r.text("an item of "+what, func(s string) error { out = append(out, s); return nil })(item)
		}
		if err := take(out); err != nil {
			r.fail(n, "%s: %v", what, err)
		}
	}
}

// content reads the name of a file, and the file.
func (r *reader) content(what string, to *[]byte, take func(text []byte) ([]byte, error)) func(*yaml.Node) {
	return r.text(what, func(name string) error {
		text, err := r.load(name)
		if err != nil {
			return err
		}
		if *to, err = take(text); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		return nil
	})
}

func set(to *string) func(string) error { return func(s string) error { *to = s; return nil } }

func (r *reader) settings(n *yaml.Node) *Settings {
	s := &Settings{}
	r.fields("the file", n, map[string]func(*yaml.Node){
		"issuer": r.text("issuer", func(text string) error {
			s.Issuer = text
			return judgeIssuer(text)
		}),
		"clientID":         r.text("clientID", set(&s.ClientID)),
		"clientSecretFile": r.content("clientSecretFile", &s.ClientSecret, readSecret),
		"caFile":           r.content("caFile", &s.CA, readCA),
		"name":             r.text("name", set(&s.Name)),
		"console": r.text("console", func(text string) (err error) {
			s.Console, err = readConsole(text)
			return err
		}),
		"scopes": r.list("scopes", func(list []string) error {
			s.Scopes = list
			switch {
			case slices.ContainsFunc(list, func(s string) bool { return strings.ContainsAny(s, " \"\\") }): // RFC 6749 §3.3
				return errors.New("a scope has no spaces, quotes and backslashes")
			case !slices.Contains(list, "openid"):
				return errors.New("openid must be among them (OpenID Connect Core 1.0 §3.1.2.1)")
			}
			return nil
		}),
		"sessionLife": r.text("sessionLife", func(text string) (err error) {
			s.Life, err = time.ParseDuration(text)
			if err != nil || s.Life < minLife || s.Life > MaxLife {
				return fmt.Errorf("must be a time from %s to %s, such as 8h", minLife, MaxLife)
			}
			return nil
		}),
		"roles": func(n *yaml.Node) { s.Roles = r.roles(n) },
	})
	return s
}

func (r *reader) roles(n *yaml.Node) Roles {
	out := Roles{Of: map[access.Role][]string{}}
	fields := map[string]func(*yaml.Node){
		"claim": r.text("roles.claim", func(text string) (err error) {
			out.Claim = text
			out.path, err = ir.ParseClaim(text)
			return err
		}),
	}
	for _, role := range access.Roles {
		fields[string(role)] = r.list("roles."+string(role), func(list []string) error {
			if role != access.Viewer && slices.Contains(list, anybody) {
				return fmt.Errorf("%q, everybody who can log in at the provider, may be viewer alone", anybody)
			}
			out.Of[role] = list
			return nil
		})
	}
	r.fields("roles", n, fields)
	return out
}
