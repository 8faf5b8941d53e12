package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Text is what a limit allows, for people: "100 per 1s, burst 200".
func Text(l *ir.RateLimit) string {
	var text string
	switch {
	case l.Rate != nil:
		text = fmt.Sprintf("%d per %s", l.Rate.Units, periodText(l.Rate.Period))
		if l.Rate.Burst != l.Rate.Units {
			text += fmt.Sprintf(", burst %d", l.Rate.Burst)
		}
	case l.Quota != nil:
		text = fmt.Sprintf("%d per %s (%s)", l.Quota.Amount, strings.ToLower(string(l.Quota.Window)), l.Quota.TimeZone)
	case l.Concurrency > 0:
		text = fmt.Sprintf("%d at once", l.Concurrency)
	default:
		var ways []string
		if l.Bandwidth.Request > 0 {
			ways = append(ways, fmt.Sprintf("requests %d bytes/s", l.Bandwidth.Request))
		}
		if l.Bandwidth.Response > 0 {
			ways = append(ways, fmt.Sprintf("responses %d bytes/s", l.Bandwidth.Response))
		}
		text = strings.Join(ways, ", ")
	}
	switch {
	case l.CostHeader != "":
		text += ", cost from " + l.CostHeader
	case l.CostExpression != "":
		text += ", cost by expression"
	case l.Cost != 1:
		text += fmt.Sprintf(", cost %d", l.Cost)
	}
	switch g := l.Global; {
	case l.Kept != nil:
		text += ", kept in the state store if there is one"
	case g != nil:
		text += fmt.Sprintf(", counted in %s (%s if it does not answer in %s)", g.Store, onError[g.OnError], g.Timeout)
	}
	if l.Callers != nil {
		text += ", for " + l.Callers.String()
	}
	if l.When != "" {
		text += ", when " + strings.Join(strings.Fields(l.When), " ")
	}
	if l.DryRun {
		text += ", dry run"
	}
	return text
}

// Applies tells whether the expression of a limit, if it has one, lets it count the
// request.
func Applies(l *ir.RateLimit, x *filter.Exchange) bool {
	f, _ := Compile(l) // what is broken limits as if it could not be evaluated
	return f.applies(x)
}

// Cost is what a limit charges the request when it comes.
func Cost(l *ir.RateLimit, x *filter.Exchange) int64 {
	f, _ := Compile(l)
	return f.charge(l, x)
}

// onError says what a limit does without its store.
var onError = map[ir.OnStoreError]string{
	ir.OnStoreErrorLocal: "by this proxy alone", ir.OnStoreErrorAllow: "everybody passes", ir.OnStoreErrorDeny: "nobody passes",
}

func periodText(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// KeyText is the key of a request, for people, without values that may be
// credentials. Missing are the parts that the request lacks.
func KeyText(l *ir.RateLimit, route string, x *filter.Exchange) (text string, missing []string) {
	var out []string
	for _, k := range l.Key {
		name := string(k.Type)
		switch k.Type {
		case ir.KeyHeader:
			name += " " + k.Name
		case ir.KeyClaim:
			name += " " + strings.Join(k.Claim, "/")
		}
		value, ok := valueOf(k, route, x)
		if !ok {
			missing = append(missing, name)
			continue
		}
		out = append(out, name+" "+value)
	}
	return strings.Join(out, ", "), missing
}

func valueOf(k ir.KeyPart, route string, x *filter.Exchange) (string, bool) {
	c := &x.Caller
	switch k.Type {
	case ir.KeyConsumer:
		if c.Consumer == nil {
			return "", false
		}
		return c.Consumer.String(), true
	case ir.KeyPlan:
		if c.Consumer == nil {
			return "", false
		}
		return c.Consumer.Plan, c.Consumer.Plan != ""
	case ir.KeyCredential:
		if c.Consumer == nil {
			return "", false
		}
		return c.Consumer.String() + " " + c.Credential, c.Credential != ""
	case ir.KeyClientIP:
		p := part{KeyPart: k}
		a := p.network(x.Client)
		if size := map[bool]int{true: k.IPv4Bits, false: k.IPv6Bits}[a.Is4()]; size < a.BitLen() {
			return fmt.Sprintf("%s/%d", a, size), true
		}
		return a.String(), true
	case ir.KeyHeader:
		v := x.Req.Header.GetString(k.Name)
		if v == nil {
			return "", false
		}
		if ir.Credential(k.Name, string(v)) {
			return ir.Hidden, true
		}
		return string(v), true
	case ir.KeyClaim:
		text, ok := c.Claims.AppendText(nil, k.Claim)
		return string(text), ok
	case ir.KeyExpression:
		p, err := expression.Compile(k.Expression, expression.Text)
		if err != nil {
			return "", false
		}
		value, ok := text(p, x)
		if ir.SecretValue(value) {
			value = ir.Hidden
		}
		return value, ok
	case ir.KeyHost:
		return string(withoutPort(x.Req.Host)), true
	case ir.KeyPath:
		return string(x.Req.Path), true
	case ir.KeyMethod:
		return string(x.Req.Method), true
	}
	return route, true
}
