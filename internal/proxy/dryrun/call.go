package dryrun

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/bridge"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Call is the call of gRPC that a request becomes.
type Call struct {
	// From is what the client speaks: "JSON", "gRPC-Web", "Connect" and so on.
	From    string `json:"from"`
	Service string `json:"service"`
	Method  string `json:"method"`
	// What follows is set where the request is transcoded. Binding is the method of
	// HTTP and the template that have matched: "GET /v1/{name=items/*}".
	Binding string `json:"binding,omitempty"`
	// Body is the field that the request's body becomes, "*" for the whole
	// message, and empty if there is none. ResponseBody is the field that the answer
	// is; empty is all of it.
	Body         string `json:"body,omitempty"`
	ResponseBody string `json:"responseBody,omitempty"`
	// Variables are what fields take from the path.
	Variables []Variable `json:"variables,omitempty"`
	// Message is what path and query make of the message; the body is not in it.
	Message       json.RawMessage `json:"message,omitempty"`
	ClientStreams bool            `json:"clientStreams,omitempty"`
	ServerStreams bool            `json:"serverStreams,omitempty"`
}

// Variable is a part of the path.
type Variable struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// Template is a path of google.api.http that the request was not for.
type Template struct {
	Binding string `json:"binding"`
	Service string `json:"service"`
	Method  string `json:"method"`
	Why     string `json:"why"`
}

// maxTemplates bounds those that are shown.
const maxTemplates = 5

// translation says which call the request of the path has become, or why it has
// not. It is true if there is a reply to what the request says.
func (d *Decision) translation(x *filter.Exchange, m route.Match[*rule], method, path, query string) (replied bool) {
	t, ok := transcode.Of(x)
	switch {
	case ok && t.Match.Binding != nil:
		return d.transcoded(x, t, query)
	case ok && t.Schema != nil:
		d.Templates = nearest(t.Schema, method, path)
		return false
	case !x.Translated && !grpc.IsContentType(x.Req.Header.Get(httpmsg.NameContentType)) && m.Value.source != nil && m.Rule.Policy.Transcoding.PassUnmatched:
		if s := m.Value.source.Schema(); s != nil {
			d.Templates = nearest(s, method, path)
		}
	}
	if from := bridge.Spoken(x); from != "" {
		service, name, _ := grpc.SplitPath(x.Req.Path)
		d.Call = &Call{From: from, Service: string(service), Method: string(name)}
	}
	return false
}

func (d *Decision) transcoded(x *filter.Exchange, t transcode.Translation, query string) (bad bool) {
	m := t.Match
	service, name, _ := grpc.SplitPath(m.Path)
	d.Call = &Call{
		From: "JSON", Service: string(service), Method: string(name), Binding: m.HTTPMethod + " " + m.Pattern(),
		Body: m.BodyName(), ResponseBody: m.ResponseName(), ClientStreams: m.ClientStreams, ServerStreams: m.ServerStreams,
	}
	for _, v := range m.Variables() {
		d.Call.Variables = append(d.Call.Variables, Variable(v))
	}
	if x.Local.Status != 0 {
		return false
	}
	text, err := t.Schema.Preview(&m, t.JSON, query)
	var input *transcoding.InputError
	if errors.As(err, &input) { // found when the body is read, where there is one
		x.Fail(400, filter.BadRequest, input.Detail)
		return true
	}
	if err == nil {
		d.Call.Message = json.RawMessage(text)
	}
	return false
}

func nearest(s *transcoding.Schema, method, path string) (list []Template) {
	for _, m := range s.Nearest(method, path, maxTemplates) {
		service, name, _ := grpc.SplitPath(m.Path)
		list = append(list, Template{Binding: m.HTTPMethod + " " + m.Pattern(), Service: string(service), Method: string(name), Why: m.Why})
	}
	return list
}

// Schemas finds the descriptors that a rule's requests are transcoded with; nil is
// that nobody can know.
type Schemas func(r *ir.Rule) transcode.Source

// For is for filters.
func (s Schemas) For(r *ir.Rule) transcode.Source { return s(r) }

// descriptors reads those of a configuration once a request asks for them.
type descriptors struct {
	set      []byte
	services []string
	read     func() *transcoding.Schema
}

func (d *descriptors) Schema() *transcoding.Schema { return d.read() }

// written are the schemas that stand in the configuration itself.
func written(cfg *ir.Config, reflected Schemas) Schemas {
	sets := map[string][]byte{}
	for _, one := range cfg.Schemas {
		sets[one.Name] = one.Set
	}
	known := map[string]*descriptors{}
	return func(r *ir.Rule) transcode.Source {
		t := r.Policy.Transcoding
		switch {
		case t.Reflection == nil:
		case reflected == nil:
			return nil
		default:
			return reflected(r)
		}
		key := t.Schema + "\n" + strings.Join(t.Services, " ")
		if d := known[key]; d != nil {
			return d
		}
		d := &descriptors{set: sets[t.Schema], services: t.Services}
		d.read = sync.OnceValue(func() *transcoding.Schema {
			if d.set == nil {
				return nil
			}
			s, err := transcoding.Parse(d.set, transcoding.Options{Services: d.services})
			if err != nil {
				return nil // compile has said why
			}
			return s
		})
		known[key] = d
		return d
	}
}
