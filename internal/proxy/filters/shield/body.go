package shield

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jsonlimit"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Body looks at the bodies of requests. As a filter it bounds those that are JSON,
// in the form in which they reach it.
type Body struct {
	policy    string
	types     []string
	json      *ir.JSONLimits
	decisions filter.Decisions
}

// NewBody makes the filter of a rule.
func NewBody(s *ir.BodyShield, d Deps) *Body {
	return &Body{policy: s.Policy, types: s.ContentTypes, json: s.JSON, decisions: d.Policy(s.Policy)}
}

// hasBody tells whether there is anything in the body, or may be.
func hasBody(r *httpmsg.Request) bool {
	return r.Body == httpmsg.BodyChunked || r.Body == httpmsg.BodyLength && r.Length > 0
}

// takes tells whether the body's type is one of those that are allowed.
func (b *Body) takes(r *httpmsg.Request) bool {
	if !hasBody(r) {
		return true
	}
	media, ok := mediaType(&r.Header)
	if !ok {
		return false
	}
	for _, want := range b.types {
		if within(media, want) {
			return true
		}
	}
	return false
}

// mediaType is what Content-Type says, without parameters. It is false where the
// header is not there once: whose word counts is then for each reader to guess.
func mediaType(h *httpmsg.Header) (media []byte, ok bool) {
	media = withoutParameters(h.Get(httpmsg.NameContentType))
	return media, h.Count(httpmsg.NameContentType) == 1 && len(media) > 0
}

func withoutParameters(value []byte) []byte {
	media, _, _ := bytes.Cut(value, []byte{';'})
	return bytes.TrimSpace(media)
}

// within compares a media type with "type/subtype", "type/*" or "type/*+suffix".
func within(media []byte, want string) bool {
	first, last, some := strings.Cut(want, "*")
	if !some {
		return httpmsg.EqualFold(media, want)
	}
	n := len(media) - len(last)
	return n > len(first) && httpmsg.EqualFold(media[:len(first)], first) && httpmsg.EqualFold(media[n:], last)
}

// form is how a body is JSON.
type form uint8

const (
	other form = iota
	oneValue
	manyValues
)

// formOf goes by Content-Type. Of several that differ, JSON is believed.
func formOf(h *httpmsg.Header) form {
	out := other
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameContentType {
			continue
		}
		switch media := withoutParameters(f.Value); {
		case httpmsg.EqualFold(media, "application/json"), httpmsg.EqualFold(media, "text/json"),
			len(media) > 5 && httpmsg.EqualFold(media[len(media)-5:], "+json"):
			return oneValue
		case httpmsg.EqualFold(media, "application/x-ndjson"), httpmsg.EqualFold(media, "application/jsonl"):
			out = manyValues
		}
	}
	return out
}

// OnRequest has a body of JSON looked at as it passes.
func (b *Body) OnRequest(x *filter.Exchange) filter.Verdict {
	if b.json == nil || !hasBody(&x.Req) {
		return filter.Continue
	}
	how := formOf(&x.Req.Header)
	if how == other {
		return filter.Continue
	}
	for i := range x.Req.Header.Len() {
		f := x.Req.Header.At(i)
		if f.ID == httpmsg.NameContentEncoding && len(f.Value) > 0 && !httpmsg.EqualFold(f.Value, "identity") {
			return b.refuse(x, 415, filter.ContentTypeDenied, "the body must have no Content-Encoding, since it is looked at")
		}
	}
	if max := b.json.Bytes; max > 0 && x.Req.Body == httpmsg.BodyLength && x.Req.Length > max {
		return b.refuse(x, 413, filter.BodyTooLarge, tooLong)
	}
	x.WrapRequestBody(func(source io.Reader) io.Reader {
		return &jsonReader{body: b, source: source, check: jsonlimit.New(limitsOf(b.json, how))}
	})
	return filter.Continue
}

const (
	bodyJSON = "body.json"
	tooLong  = "the request's body is longer than its type may be"
)

func (b *Body) refuse(x *filter.Exchange, status int, reason filter.Reason, detail string) filter.Verdict {
	b.decisions.Decided(int(filter.Denied))
	return x.Refuse(status, reason, detail, b.policy, bodyJSON)
}

func limitsOf(l *ir.JSONLimits, how form) jsonlimit.Limits {
	return jsonlimit.Limits{
		Depth: l.Depth, Members: l.Members, Elements: l.Elements, Values: l.Values,
		NameBytes: l.NameBytes, StringBytes: l.StringBytes, NumberBytes: l.NumberBytes,
		UniqueNames: l.UniqueNames, Sequence: how == manyValues,
	}
}

// jsonReader passes a body on as long as it is JSON within the limits. Of a piece
// that is not it passes nothing.
type jsonReader struct {
	body   *Body
	source io.Reader
	check  *jsonlimit.Checker
	read   int64
	err    error
}

func (r *jsonReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.source.Read(p)
	r.read += int64(n)
	if max := r.body.json.Bytes; max > 0 && r.read > max {
		return 0, r.refuse(413, filter.BodyTooLarge, tooLong)
	}
	_, bad := r.check.Write(p[:n])
	if bad == nil && err == io.EOF {
		bad = r.check.Close()
	}
	if bad != nil {
		reason := filter.BadRequest
		var over *jsonlimit.Error
		if errors.As(bad, &over) && over.Over {
			reason = filter.JSONLimit
		}
		return 0, r.refuse(400, reason, "the request's body: "+bad.Error())
	}
	r.err = err
	return n, err
}

func (r *jsonReader) refuse(status int, reason filter.Reason, detail string) error {
	r.body.decisions.Decided(int(filter.Denied))
	r.err = &filter.Refusal{Status: status, Reason: reason, Detail: detail, Policy: r.body.policy, Part: bodyJSON}
	return r.err
}
