package authentication

import (
	"strings"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func componentsOf(written []string) []httpsig.Component {
	list := make([]httpsig.Component, len(written))
	for i, w := range written {
		list[i], _ = httpsig.ParseComponent(w) // compile has read it
	}
	return list
}

func structuresOf(list []ir.StructuredField) map[string]httpsig.Structure {
	if len(list) == 0 {
		return nil
	}
	m := map[string]httpsig.Structure{}
	for _, f := range list {
		m[f.Name] = map[string]httpsig.Structure{ir.StructureItem: httpsig.Item, ir.StructureList: httpsig.List, ir.StructureDictionary: httpsig.Dictionary}[f.Type]
	}
	return m
}

// wanted tells whether a request must have a component signed.
func wanted(c *httpsig.Component, query, body bool) bool {
	switch c.Name() {
	case "@query":
		return query
	case "content-digest":
		return body
	}
	return true
}

var acceptSignature = []byte("Accept-Signature")

// demand says what signature a request must have (RFC 9421 §5.1), for requests with or
// without a query and a body.
func (h *hmac) demand(query, body bool) []byte {
	var ids []string
	for i := range h.required {
		if c := &h.required[i]; wanted(c, query, body) {
			ids = append(ids, c.ID())
		}
	}
	label := h.Label
	if label == "" {
		label = "sig1"
	}
	text := label + "=(" + strings.Join(ids, " ") + ");created"
	if h.Tag != "" {
		text += ";tag=" + httpsig.Quote(h.Tag)
	}
	return []byte(text)
}

// tellDemand tells a client that is refused how the same request would not be.
func (h *hmac) tellDemand(x *filter.Exchange) {
	i := 0
	if x.Req.HasQuery {
		i |= 1
	}
	if signedBody(&x.Req) {
		i |= 2
	}
	x.Resp.Header.Add(acceptSignature, h.demands[i])
}
