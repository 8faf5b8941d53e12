package routetest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/gridway/gridway/internal/config/store"
)

type document struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   map[string]any `yaml:"metadata"`
	Spec       struct {
		Config []string `yaml:"config"`
		Tests  []Case   `yaml:"tests"`
	} `yaml:"spec"`
}

// Parse reads the RouteTest documents of a file and leaves others alone. All
// problems are returned; a suite with problems is left out.
func Parse(file string, content []byte) (suites []*Suite, problems []store.Problem) {
	f, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, []store.Problem{problemOf(file, err)}
	}
	for _, doc := range f.Docs {
		root := mapping(doc.Body)
		if root == nil || stringAt(root, "kind") != Kind {
			continue
		}
		p := reader{file: file, root: root}
		if s := p.suite(); len(p.problems) == 0 {
			suites = append(suites, s)
		}
		problems = append(problems, p.problems...)
	}
	return suites, problems
}

type reader struct {
	file     string
	root     *ast.MappingNode
	problems []store.Problem
}

func (r *reader) add(path []string, code, message, remedy string) {
	r.problems = append(r.problems, store.Problem{
		Severity: store.Error, Code: code, Field: join(path), Position: r.locate(path), Message: message, Remedy: remedy,
	})
}

func (r *reader) suite() *Suite {
	if v := stringAt(r.root, "apiVersion"); v != APIVersion {
		r.add([]string{"apiVersion"}, "InvalidValue", fmt.Sprintf("apiVersion is %q, not %q", v, APIVersion), "")
	}
	r.unknown(r.root, reflect.TypeFor[document](), nil)
	if len(r.problems) > 0 {
		return nil
	}
	var d document
	if err := yaml.NodeToValue(r.root, &d); err != nil {
		r.problems = append(r.problems, problemOf(r.file, err))
		return nil
	}
	s := &Suite{File: r.file, Config: configOf(r.file, d.Spec.Config), Cases: d.Spec.Tests}
	s.Name, _ = d.Metadata["name"].(string)
	if s.Name == "" {
		s.Name = r.file
	}
	if len(s.Cases) == 0 {
		r.add([]string{"spec", "tests"}, "Required", "there are no tests", "add at least one under spec.tests")
	}
	for i := range s.Cases {
		r.finish(&s.Cases[i], []string{"spec", "tests", strconv.Itoa(i)})
	}
	return s
}

// finish checks a case and gives it its place.
func (r *reader) finish(c *Case, path []string) {
	at := func(field ...string) []string { return append(slices.Clone(path), field...) }
	c.Position = r.locate(path)
	c.Locate = func(field string) store.Position { return r.locate(at(strings.Split(field, ".")...)) }
	scheme, _, _ := strings.Cut(c.Request.URL, "://")
	stream := slices.Contains([]string{"tcp", "tls", "udp"}, scheme)
	if c.Request.Method == "" && !stream {
		c.Request.Method = http.MethodGet
	}
	if c.Name == "" {
		c.Name = strings.TrimSpace(c.Request.Method + " " + c.Request.URL)
	}
	if file := c.Request.ClientCertificate; file != "" && !filepath.IsAbs(file) {
		c.Request.ClientCertificate = filepath.Join(filepath.Dir(r.file), file)
	}
	if c.Request.URL == "" {
		r.add(at("request"), "Required", "request.url is missing", `write an absolute URL such as "http://shop.example/cart"`)
	} else if u, err := url.Parse(c.Request.URL); err != nil {
		r.add(at("request", "url"), "InvalidValue", err.Error(), "")
	} else if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" && !stream {
		r.add(at("request", "url"), "InvalidValue", fmt.Sprintf("the scheme is %q", u.Scheme), "use http or https, or tcp, tls or udp for what is not HTTP")
	}
	if reflect.ValueOf(c.Expect).IsZero() {
		r.add(at(), "Required", "the test expects nothing", "say at least one thing under expect, such as route or status")
	}
}

// unknown reports keys that t has no field for, with the nearest that it has.
func (r *reader) unknown(n ast.Node, t reflect.Type, path []string) {
	switch t.Kind() {
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok || t.Elem().Kind() != reflect.Struct {
			return
		}
		for i, e := range seq.Values {
			r.unknown(e, t.Elem(), append(slices.Clone(path), strconv.Itoa(i)))
		}
	case reflect.Struct:
		m := mapping(n)
		if m == nil || t == reflect.TypeFor[Share]() {
			return
		}
		fields := map[string]reflect.Type{}
		for i := range t.NumField() {
			if name := t.Field(i).Tag.Get("yaml"); name != "-" {
				fields[name] = t.Field(i).Type
			}
		}
		for _, v := range m.Values {
			key := v.Key.GetToken().Value
			ft, ok := fields[key]
			if ok {
				r.unknown(v.Value, ft, append(slices.Clone(path), key))
				continue
			}
			names := make([]string, 0, len(fields))
			for f := range fields {
				names = append(names, f)
			}
			slices.Sort(names)
			r.add(append(slices.Clone(path), key), "UnknownField", fmt.Sprintf("there is no field %q", key), "fields here: "+strings.Join(names, ", "))
		}
	}
}

// locate finds the key of the last step that exists.
func (r *reader) locate(path []string) store.Position {
	var n ast.Node = r.root
	tok := r.root.GetToken()
	if len(r.root.Values) > 0 {
		tok = r.root.Values[0].Key.GetToken()
	}
walk:
	for _, step := range path {
		switch v := n.(type) {
		case *ast.SequenceNode:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v.Values) {
				break walk
			}
			n = v.Values[i]
			tok = first(n)
		default:
			m := mapping(n)
			if m == nil {
				break walk
			}
			i := slices.IndexFunc(m.Values, func(e *ast.MappingValueNode) bool { return e.Key.GetToken().Value == step })
			if i < 0 {
				break walk
			}
			n = m.Values[i].Value
			tok = m.Values[i].Key.GetToken()
		}
	}
	return position(r.file, tok)
}

func first(n ast.Node) *token.Token {
	if m := mapping(n); m != nil && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

func position(file string, tok *token.Token) store.Position {
	p := store.Position{File: file}
	if tok != nil && tok.Position != nil {
		p.Line, p.Column = tok.Position.Line, tok.Position.Column
	}
	return p
}

// mapping sees through the forms in which the parser returns a map.
func mapping(n ast.Node) *ast.MappingNode {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v
	case *ast.MappingValueNode:
		return &ast.MappingNode{BaseNode: v.BaseNode, Start: v.Start, Values: []*ast.MappingValueNode{v}}
	case *ast.AnchorNode:
		return mapping(v.Value)
	}
	return nil
}

func stringAt(m *ast.MappingNode, key string) string {
	for _, v := range m.Values {
		if v.Key.GetToken().Value == key {
			return v.Value.GetToken().Value
		}
	}
	return ""
}

func join(path []string) string {
	var b strings.Builder
	for _, s := range path {
		if _, err := strconv.Atoi(s); err == nil {
			b.WriteString("[" + s + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s)
	}
	return b.String()
}

// problemOf turns what the YAML library says into a problem with a place.
func problemOf(file string, err error) store.Problem {
	p := store.Problem{Severity: store.Error, Code: "InvalidYAML", Position: store.Position{File: file}, Message: err.Error()}
	var ye yaml.Error
	if errors.As(err, &ye) {
		p.Message = ye.GetMessage()
		p.Position = position(file, ye.GetToken())
	}
	return p
}
