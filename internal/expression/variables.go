package expression

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Names of variables.
const (
	RequestMethod   = "request.method"
	RequestPath     = "request.path"
	RequestQuery    = "request.query"
	RequestHost     = "request.host"
	RequestScheme   = "request.scheme"
	RequestProtocol = "request.protocol"
	RequestHeaders  = "request.headers"
	RequestSize     = "request.size"
	RequestTime     = "request.time"
	ClientAddress   = "client.address"
	CallerKnown     = "caller.known"
	CallerMethod    = "caller.method"
	CallerConsumer  = "caller.consumer"
	CallerGroups    = "caller.groups"
	CallerPlan      = "caller.plan"
	CallerLabels    = "caller.labels"
	CallerSubject   = "caller.subject"
	CallerIssuer    = "caller.issuer"
	CallerScopes    = "caller.scopes"
	CallerClaims    = "caller.claims"
	SourceIdentity  = "source.identity"
	TLSVersion      = "tls.version"
	TLSServerName   = "tls.serverName"
)

// variables are the types of all facts.
var variables = sync.OnceValue(func() map[string]*cel.Type {
	texts, fields := cel.ListType(cel.StringType), cel.MapType(cel.StringType, cel.StringType)
	return map[string]*cel.Type{
		RequestMethod: cel.StringType, RequestPath: cel.StringType, RequestQuery: cel.StringType, RequestHost: cel.StringType,
		RequestScheme: cel.StringType, RequestProtocol: cel.StringType, RequestHeaders: fields, RequestSize: cel.IntType,
		RequestTime: cel.TimestampType, ClientAddress: cel.StringType,
		CallerKnown: cel.BoolType, CallerMethod: cel.StringType, CallerConsumer: cel.StringType, CallerGroups: texts,
		CallerPlan: cel.StringType, CallerLabels: fields, CallerSubject: cel.StringType, CallerIssuer: cel.StringType,
		CallerScopes: texts, CallerClaims: cel.MapType(cel.StringType, cel.DynType),
		SourceIdentity: cel.StringType, TLSVersion: cel.StringType, TLSServerName: cel.StringType,
	}
})

// Variables are the names of all facts, in order.
func Variables() []string {
	var out []string
	for name := range variables() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// environment is CEL's own library, with what is ours. It is made when the first
// expression is.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(MaxLength), cel.ParserRecursionLimit(maxDepth), cel.DefaultUTCTimeZone(true),
		cel.Function("inNetwork", cel.MemberOverload("string_in_network", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(inNetwork))),
		cel.Function("lowerAscii", cel.MemberOverload("string_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(lowerASCII))),
	}
	for _, name := range Variables() {
		options = append(options, cel.Variable(name, variables()[name]))
	}
	return cel.NewEnv(options...)
})

// inNetwork tells whether an address is in a network, or is one.
func inNetwork(address, network ref.Val) ref.Val {
	a, err := netip.ParseAddr(string(address.(types.String)))
	if err != nil {
		return types.NewErr("%q is not an address", address.Value())
	}
	text := string(network.(types.String))
	if one, err := netip.ParseAddr(text); err == nil {
		return types.Bool(one.Unmap() == a.Unmap())
	}
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return types.NewErr("%q is not a network", text)
	}
	return types.Bool(n.Contains(a.Unmap()))
}

func lowerASCII(s ref.Val) ref.Val {
	return types.String(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, string(s.(types.String))))
}

// What facts are taken to be at most when the cost of an expression is estimated.
// One that is larger costs what it costs, up to MaxCost.
const (
	sizeText    = 1024
	sizeRequest = 8192 // path, query
	sizeList    = 64
)

// sizes says how large facts are.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	most := uint64(sizeText)
	if path := n.Path(); len(path) == 1 && (path[0] == RequestPath || path[0] == RequestQuery) {
		most = sizeRequest
	} else if t := n.Type(); t != nil && (t.Kind() == types.ListKind || t.Kind() == types.MapKind) {
		most = sizeList
	}
	return &cost.SizeEstimate{Min: 0, Max: most}
}

func (sizes) EstimateCallCost(function, _ string, target *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	switch function {
	case "inNetwork":
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 10}}
	case "lowerAscii":
		most := uint64(sizeText)
		if target != nil {
			if s := (sizes{}).EstimateSize(*target); s != nil {
				most = s.Max
			}
		}
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: 1 + most/10}, ResultSize: &cost.SizeEstimate{Min: 0, Max: most}}
	}
	return nil
}
