package authentication

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// header tells the endpoint a fact about the caller.
type header struct {
	name []byte
	fact ir.CallerFact
	// claim is what the header says in the place of a fact.
	claim []string
}

func newHeaders(list []ir.CallerHeader) []header {
	out := make([]header, len(list))
	for i, h := range list {
		out[i] = header{[]byte(h.Name), h.Value, h.Claim}
	}
	return out
}

// write sets the header in the place of what the client has sent under its name.
func (h *header) write(x *filter.Exchange) {
	x.Withhold(h.name)
	if h.claim != nil {
		h.writeClaim(x)
	} else if value := h.value(&x.Caller); value != "" {
		x.Req.Header.Add(h.name, x.Req.Arena.CopyString(value))
	}
}

func (h *header) value(c *filter.Caller) string {
	switch h.fact {
	case ir.FactMethod:
		return c.Method
	case ir.FactCredential:
		return c.Credential
	}
	if c.Consumer == nil {
		return ""
	}
	switch h.fact {
	case ir.FactConsumer:
		return c.Consumer.Name
	case ir.FactConsumerNamespace:
		return c.Consumer.Namespace
	case ir.FactConsumerGroups:
		return c.Consumer.GroupList
	case ir.FactPlan:
		return c.Consumer.Plan
	}
	return ""
}
