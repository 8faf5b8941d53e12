package ratelimit

import (
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
)

// partNames are what servers know the parts of keys by.
var partNames = map[ir.KeyType]string{
	ir.KeyConsumer: "consumer", ir.KeyPlan: "plan", ir.KeyCredential: "credential", ir.KeyHost: "host", ir.KeyPath: "path",
	ir.KeyMethod: "method", ir.KeyRoute: "route", ir.KeyClaim: "claim", ir.KeyExpression: "expression",
}

// parts are those of a request's key as servers are told them, without those that
// the request lacks.
func (o *one) parts(x *filter.Exchange) []limit.Part {
	var out []limit.Part
	for i := range o.key {
		p := &o.key[i]
		if name, value, ok := p.tell(x); ok {
			out = append(out, limit.Part{Name: name, Value: value})
		}
	}
	return out
}

func (p *part) tell(x *filter.Exchange) (name, value string, ok bool) {
	name, ok = partNames[p.Type], true
	caller := x.Caller.Consumer
	switch p.Type {
	case ir.KeyConsumer, ir.KeyPlan, ir.KeyCredential:
		if caller == nil {
			return "", "", false
		}
		value = map[ir.KeyType]string{ir.KeyConsumer: caller.String(), ir.KeyPlan: caller.Plan, ir.KeyCredential: x.Caller.Credential}[p.Type]
		ok = value != ""
		if ok && p.Type == ir.KeyCredential {
			value = caller.String() + "/" + value
		}
	case ir.KeyClientIP:
		name, value = p.tellNetwork(x)
	case ir.KeyHeader:
		name = strings.ToLower(p.Name)
		value, ok = p.tellHeader(x)
	case ir.KeyClaim:
		value, ok = p.tellClaim(x)
	case ir.KeyExpression:
		value, ok = text(p.formula, x)
	case ir.KeyHost:
		value = string(withoutPort(x.Req.Host))
	case ir.KeyPath:
		value = string(x.Req.Path)
	case ir.KeyMethod:
		value = string(x.Req.Method)
	default:
		value = p.route
	}
	return name, value, ok
}

// tellNetwork names addresses as Envoy does.
func (p *part) tellNetwork(x *filter.Exchange) (name, value string) {
	a := p.network(x.Client)
	size := p.IPv6Bits
	if a.Is4() {
		size = p.IPv4Bits
	}
	if size < a.BitLen() {
		return "masked_remote_address", a.String() + "/" + strconv.Itoa(size)
	}
	return "remote_address", a.String()
}

// tellHeader joins all values (RFC 9110 §5.3).
func (p *part) tellHeader(x *filter.Exchange) (string, bool) {
	var values []string
	h := &x.Req.Header
	for i := range h.Len() {
		if f := h.At(i); p.is(f) {
			values = append(values, string(f.Value))
		}
	}
	return strings.Join(values, ", "), values != nil
}

func (p *part) tellClaim(x *filter.Exchange) (string, bool) {
	v, ok := x.Caller.Claims.Lookup(p.Claim)
	if !ok {
		return "", false
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	values := make([]string, len(list))
	for i, one := range list {
		if s, is := one.(string); is {
			values[i] = s
			continue
		}
		b, is := filter.AppendScalar(nil, one)
		if !is {
			return "", false
		}
		values[i] = string(b)
	}
	return strings.Join(values, ","), true
}
