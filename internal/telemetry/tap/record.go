package tap

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// maxHead bounds the fields and the query of a request that are recorded, in bytes, and
	// maxRecorded its host and path.
	maxHead     = 16 << 10
	maxRecorded = 8 << 10
	// maxClaims bounds the claims, by their number and the bytes of each.
	maxClaims = 64
)

// Record is a request as it came and what became of it, for gridway replay.
type Record struct {
	Host string `json:"host"`
	Path string `json:"path"`
	// Query has its values, but for those of credentials.
	Query   string      `json:"query,omitempty"`
	Headers []ir.Header `json:"headers,omitempty"`
	// Hidden are header fields, and parameters of the query as "?NAME", whose values are
	// masked or hashed.
	Hidden []string `json:"hidden,omitempty"`
	// Partial: it was too long to be recorded whole.
	Partial bool `json:"partial,omitempty"`
	// Claims are what the caller's credential says of them.
	Claims map[string]any `json:"claims,omitempty"`
	// Cluster is where it went, empty if it was not sent; Sent is what was.
	Cluster string       `json:"cluster,omitempty"`
	Sent    *SentRequest `json:"sent,omitempty"`
	// Asked is for which port of which Service it was, at a proxy of a mesh; nil if it was
	// for none.
	Asked *Asked `json:"asked,omitempty"`
	// Registered: workloads have made the Service, and nobody has written it.
	Registered bool `json:"registered,omitempty"`
	// Workload is who has sent it, "namespace/service", where a proxy stands before several.
	Workload string `json:"workload,omitempty"`
}

// Asked is a port of a Service.
type Asked struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      uint16 `json:"port"`
}

// SentRequest is what an endpoint got.
type SentRequest struct {
	Host  string `json:"host"`
	Path  string `json:"path"`
	Query string `json:"query,omitempty"`
}

// Sent is a SentRequest before it is copied.
type Sent struct{ Host, Path, Query []byte }

// Head keeps a request as it came, before filters change it. Its memory is used anew.
type Head struct {
	kept, cut bool
	fields    []httpmsg.Field
	query     []byte
	bytes     []byte
}

// Keep copies the fields and the query.
func (h *Head) Keep(r *httpmsg.Request) {
	h.Forget()
	h.kept = true
	room := maxHead - len(r.Query)
	if room < 0 {
		h.cut = true
		return
	}
	// Fields are slices of bytes, which must not move meanwhile.
	if cap(h.bytes) < maxHead {
		h.bytes = make([]byte, 0, maxHead)
	}
	keep := func(b []byte) []byte {
		at := len(h.bytes)
		h.bytes = append(h.bytes, b...)
		return h.bytes[at:len(h.bytes):len(h.bytes)]
	}
	h.query = keep(r.Query)
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		if room -= len(f.Name) + len(f.Value); room < 0 {
			h.cut = true
			return
		}
		h.fields = append(h.fields, httpmsg.Field{Name: keep(f.Name), Value: keep(f.Value)})
	}
}

// Kept tells whether there is one.
func (h *Head) Kept() bool { return h.kept }

// Forget is Keep's opposite.
func (h *Head) Forget() {
	if h.kept {
		*h = Head{fields: h.fields[:0], bytes: h.bytes[:0]}
	}
}

// recorded tells whether there is enough of it to be recorded: an exchange whose head was
// kept, or a connection that has ended.
func (s *Seen) recorded() bool {
	return !s.Opened && (s.Head != nil || s.Stream && s.Protocol != "UDP")
}

// record is what is recorded of it.
func (s *Seen) record(t *Tap) *Record {
	r := s.recordRequest(t)
	if s.Asked.Name != "" {
		r.Asked, r.Registered = &Asked{s.Asked.Namespace, s.Asked.Name, s.Port}, s.Asked.File == ""
	}
	r.Workload = s.Workload
	return r
}

func (s *Seen) recordRequest(t *Tap) *Record {
	e := s.Entry
	if s.Stream {
		return &Record{Host: cut(e.TLSServerName), Cluster: e.Cluster}
	}
	r := &Record{
		Host: clip(e.Host, maxRecorded), Path: clip(e.Path, maxRecorded), Cluster: e.Cluster,
		Partial: s.Head.cut || len(e.Path) > maxRecorded || len(e.Host) > maxRecorded,
	}
	if s.Mask == nil || !s.Mask.Claims() {
		r.Claims = claims(s.Claims)
	}
	if s.Claims != nil && r.Claims == nil {
		r.Partial = true
	}
	if len(s.Sent.Path) == 0 {
		r.Cluster = ""
	} else {
		r.Sent = &SentRequest{Host: clip(s.Sent.Host, maxRecorded), Path: clip(s.Sent.Path, maxRecorded)}
		if s.Mask != nil && s.Mask.Header("host") {
			r.Sent.Host = r.Host
			r.Hidden = append(r.Hidden, "host")
		}
		r.Sent.Query, _ = s.recordedQuery(t, s.Sent.Query)
	}
	var hidden []string
	r.Query, hidden = s.recordedQuery(t, s.Head.query)
	r.Hidden = append(r.Hidden, hidden...)
	for _, f := range s.Head.fields {
		h := ir.Header{Name: strings.ToLower(string(f.Name)), Value: strings.ToValidUTF8(string(f.Value), "\ufffd")}
		if s.secret(h.Name, f.Value) {
			h.Value = t.hide(h.Value)
			r.Hidden = append(r.Hidden, h.Name)
		}
		r.Headers = append(r.Headers, h)
	}
	return r
}

// recordedQuery hides values of credentials, whose parameters it names. It is cut after
// that: of a credential that is cut nobody sees what it is.
func (s *Seen) recordedQuery(t *Tap, query []byte) (out string, hidden []string) {
	if len(query) == 0 {
		return "", nil
	}
	out, hidden = ir.Veil(t.hide).Query(strings.ToValidUTF8(string(query), "\ufffd"), s.secretParameter)
	for i, name := range hidden {
		hidden[i] = "?" + name
	}
	return clip([]byte(out), maxRecorded), hidden
}

func (s *Seen) secretParameter(name string) bool {
	if s.Mask != nil && s.Mask.Parameter(name) {
		return true
	}
	if s.Credentials == nil {
		return false
	}
	for i := range s.Credentials.AnyOf {
		for _, from := range sources(&s.Credentials.AnyOf[i]) {
			if from.Query != "" && from.Query == name {
				return true
			}
		}
	}
	return false
}

// hide is what stands for a credential.
func (t *Tap) hide(value string) string {
	if t.query.Record != Hashed {
		return Masked
	}
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write([]byte(value))
	return "hmac-" + hex.EncodeToString(mac.Sum(nil)[:12])
}

// claims are those that can be copied: texts, numbers, booleans and lists of them. Nil is
// that there are too many.
func claims(values map[string]any) map[string]any {
	if values == nil || len(values) > maxClaims {
		return nil
	}
	out := make(map[string]any, len(values))
	for name, v := range values {
		if s, is := v.(string); is && (len(s) > maxText || ir.Credential(name, s)) {
			continue
		}
		out[name] = v // values of claims are never changed
	}
	return out
}
