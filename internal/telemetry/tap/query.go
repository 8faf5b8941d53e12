package tap

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/wire/grpc"
)

// Bounds of a Query.
const (
	DefaultRate = 200 // events per second
	MaxRate     = 5000
	DefaultFor  = 10 * time.Minute
	MaxFor      = time.Hour
	// maxValues is how often a parameter may be there, and maxValue how long it may be in
	// bytes.
	maxValues = 16
	maxValue  = 512
)

// Query says what is looked at. A parameter that is there several times means any of its
// values; all parameters that are there must agree.
type Query struct {
	Routes, To, From, Consumers, Policies []string
	Directions, Protocols                 []string
	Hosts, Methods, GRPCStatus            []string
	Paths                                 []Pattern
	Headers                               []HeaderFilter
	Status                                []StatusRange
	// Slower leaves out what took less; zero leaves out nothing.
	Slower time.Duration
	// Failed and Denied are nil for whatever it was.
	Failed, Denied *bool
	// Open shows every exchange when it begins, too, and not only those that go on.
	Open bool
	// Show are header fields to be shown, in lower case.
	Show []string
	// Record adds what a replay needs, unless it is empty: HideMasked or Hashed says what
	// becomes of credentials.
	Record string
	// Sample is the part of it that is wanted, more than 0 and 1 at most.
	Sample float64
	// Rate is how many events per second there are at most, of each proxy, and For how
	// long the tap lasts.
	Rate int
	For  time.Duration
}

// Pattern is an exact text, a prefix or an expression.
type Pattern struct {
	text   string
	prefix bool
	re     *regexp.Regexp
}

// HeaderFilter asks for a field of the request, with any value if Value is nil.
type HeaderFilter struct {
	Name  string
	Value *Pattern
}

// StatusRange has its ends in it.
type StatusRange struct{ From, To int }

// Parameter is one of a Query's.
type Parameter struct {
	Name, About string
	parse       func(*Query, string) error
}

// Parameters are those that a query may have, in the order in which people are told of
// them.
func Parameters() []Parameter {
	texts := func(of func(*Query) *[]string) func(*Query, string) error {
		return func(q *Query, v string) error { *of(q) = append(*of(q), v); return nil }
	}
	return []Parameter{
		{"route", "only this route: NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME", texts(func(q *Query) *[]string { return &q.Routes })},
		{"to", "only what goes to this service: NAME, NAMESPACE/NAME or a SPIFFE ID", texts(func(q *Query) *[]string { return &q.To })},
		{"from", "only what comes from this service: NAME, NAMESPACE/NAME or a SPIFFE ID", texts(func(q *Query) *[]string { return &q.From })},
		{"direction", "only at an edge, into a workload or out of one: edge, inbound or outbound", oneOf(func(q *Query) *[]string { return &q.Directions }, Edge, Inbound, Outbound)},
		{"protocol", "only http, grpc, websocket, tcp, tls or udp", oneOf(func(q *Query) *[]string { return &q.Protocols }, "http", "grpc", "websocket", "tcp", "tls", "udp")},
		{"host", "only this host: a name or *.SUFFIX", texts(func(q *Query) *[]string { return &q.Hosts })},
		{"method", "only this method", func(q *Query, v string) error { q.Methods = append(q.Methods, strings.ToUpper(v)); return nil }},
		{"path", "only this path: exactly /PATH, the prefix /PATH*, or ~RE2 for a regular expression", parsePath},
		{"status", "only this status: 404, 5xx or 500-504", parseStatus},
		{"grpcStatus", "only calls of gRPC that end so: UNAVAILABLE", parseGRPCStatus},
		{"header", "only requests with this field: NAME, NAME:VALUE, NAME:PREFIX* or NAME:~RE2", parseHeader},
		{"consumer", "only this consumer: NAME or NAMESPACE/NAME", texts(func(q *Query) *[]string { return &q.Consumers })},
		{"policy", "only what this policy has refused: NAME or NAMESPACE/NAME", texts(func(q *Query) *[]string { return &q.Policies })},
		{"slower", "only what took at least so long: 250ms", parseSlower},
		{"failed", "true: only what has failed: a status of 5xx, a failed call of gRPC, no answer; false: only the rest", parseBool(func(q *Query) **bool { return &q.Failed })},
		{"denied", "true: only what a policy has refused; false: only the rest", parseBool(func(q *Query) **bool { return &q.Denied })},
		{"open", "true: shows each request when it is sent on, too, and not only those that go on for long", parseOpen},
		{"record", "adds what gridway replay needs, with credentials masked or hashed: masked or hashed", parseRecord},
		{"show", "a header field to show; credentials are masked", parseShow},
		{"sample", "the part of it that is wanted: 0.01", parseSample},
		{"rate", fmt.Sprintf("how many events per second each proxy gives at most, 1 to %d (%d)", MaxRate, DefaultRate), parseRate},
		{"for", fmt.Sprintf("how long it lasts, %s at most (%s)", short(MaxFor), short(DefaultFor)), parseFor},
	}
}

// parseGRPCStatus takes names and numbers, as specifications and libraries write them
// ("NOT_FOUND", "NotFound", "5").
func parseGRPCStatus(q *Query, v string) error {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "_", "") }
	for c := range grpc.Code(grpc.Codes) {
		if n := c.String(); plain(v) == plain(n) || v == string(c.Text()) || plain(v) == "CANCELED" && c == grpc.Cancelled {
			q.GRPCStatus = append(q.GRPCStatus, n)
			return nil
		}
	}
	return fmt.Errorf("%q is no status of gRPC, such as UNAVAILABLE or 14", v)
}

// short is a duration without zeroes at its end.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Parse reads the query of a URL.
func Parse(query string) (*Query, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("the question is no query of a URL: %w", err)
	}
	return FromValues(values)
}

// FromValues reads parameters. One that is not known is an error: leaving a filter away
// would show more than was asked for.
func FromValues(values url.Values) (*Query, error) {
	q := &Query{Sample: 1, Rate: DefaultRate, For: DefaultFor}
	left := len(values)
	for _, p := range Parameters() {
		list, has := values[p.Name]
		if !has {
			continue
		}
		left--
		if len(list) > maxValues {
			return nil, fmt.Errorf("%s is there %d times, and may be %d times", p.Name, len(list), maxValues)
		}
		for _, v := range list {
			if v == "" || len(v) > maxValue {
				return nil, fmt.Errorf("%s has 1 to %d bytes", p.Name, maxValue)
			}
			if err := p.parse(q, v); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
		}
	}
	if left > 0 {
		return nil, unknown(values)
	}
	return q, nil
}

func unknown(values url.Values) error {
	var names, wrong []string
	for _, p := range Parameters() {
		names = append(names, p.Name)
	}
	for name := range values {
		if !slices.Contains(names, name) {
			wrong = append(wrong, fmt.Sprintf("%.40q", name))
		}
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s is no parameter of a tap; there are %s", wrong[0], strings.Join(names, ", "))
}

func oneOf(of func(*Query) *[]string, known ...string) func(*Query, string) error {
	return func(q *Query, v string) error {
		v = strings.ToLower(v)
		if !slices.Contains(known, v) {
			return fmt.Errorf("%.40q is not one of %s", v, strings.Join(known, ", "))
		}
		*of(q) = append(*of(q), v)
		return nil
	}
}

func parsePattern(v string) (p Pattern, err error) {
	if expr, is := strings.CutPrefix(v, "~"); is {
		p.re, err = regexp.Compile("^(?:" + expr + ")$")
		if err != nil {
			return p, fmt.Errorf("%.80q is no expression of RE2: %w", expr, err)
		}
		return p, nil
	}
	p.text, p.prefix = strings.CutSuffix(v, "*")
	return p, nil
}

func (p *Pattern) match(b []byte) bool {
	switch {
	case p.re != nil:
		return p.re.Match(b[:min(len(b), maxMatched)])
	case p.prefix:
		return len(b) >= len(p.text) && string(b[:len(p.text)]) == p.text
	}
	return string(b) == p.text
}

// maxMatched is how much of a text an expression looks at, in bytes.
const maxMatched = 8 << 10

func parsePath(q *Query, v string) error {
	if v[0] != '/' && v[0] != '~' && v != "*" {
		return fmt.Errorf("%.80q begins neither with / nor with ~", v)
	}
	p, err := parsePattern(v)
	q.Paths = append(q.Paths, p)
	return err
}

func parseStatus(q *Query, v string) error {
	if len(v) == 3 && (v[1:] == "xx" || v[1:] == "XX") && v[0] >= '1' && v[0] <= '5' {
		class := int(v[0]-'0') * 100
		q.Status = append(q.Status, StatusRange{class, class + 99})
		return nil
	}
	low, high, is := strings.Cut(v, "-")
	if !is {
		high = low
	}
	from, err := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return fmt.Errorf("%.40q is neither a status such as 404, nor a class such as 5xx, nor a range such as 500-504", v)
	}
	q.Status = append(q.Status, StatusRange{from, to})
	return nil
}

func parseHeader(q *Query, v string) error {
	name, value, has := strings.Cut(v, ":")
	if err := checkFieldName(name); err != nil {
		return err
	}
	f := HeaderFilter{Name: strings.ToLower(name)}
	if has {
		// Who asks for one value after the other would learn it.
		if secretName(name) {
			return fmt.Errorf("%s carries credentials: ask whether it is there, without a value", name)
		}
		p, err := parsePattern(strings.TrimPrefix(value, " "))
		if err != nil {
			return err
		}
		f.Value = &p
	}
	q.Headers = append(q.Headers, f)
	return nil
}

func checkFieldName(name string) error {
	for i := range len(name) {
		// RFC 9110 §5.6.2: a token.
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return fmt.Errorf("%.40q is no name of a header field", name)
		}
	}
	if name == "" {
		return fmt.Errorf("the name of a header field is missing")
	}
	return nil
}

func parseSlower(q *Query, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return fmt.Errorf("%.40q is no duration such as 250ms", v)
	}
	q.Slower = d
	return nil
}

func parseBool(of func(*Query) **bool) func(*Query, string) error {
	return func(q *Query, v string) error {
		if v != "true" && v != "false" {
			return fmt.Errorf("%.40q is neither true nor false", v)
		}
		is := v == "true"
		*of(q) = &is
		return nil
	}
}

func parseShow(q *Query, v string) error {
	if err := checkFieldName(v); err != nil {
		return err
	}
	q.Show = append(q.Show, strings.ToLower(v))
	return nil
}

// What becomes of credentials in records: with Hashed they can be told apart, by a key that
// nobody has.
const (
	HideMasked = "masked"
	Hashed     = "hashed"
)

func parseOpen(q *Query, v string) error {
	var open *bool
	err := parseBool(func(*Query) **bool { return &open })(q, v)
	q.Open = err == nil && *open
	return err
}

func parseRecord(q *Query, v string) error {
	if v != HideMasked && v != Hashed {
		return fmt.Errorf("%.40q is neither %s nor %s", v, HideMasked, Hashed)
	}
	q.Record = v
	return nil
}

func parseSample(q *Query, v string) error {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || f <= 0 || f > 1 {
		return fmt.Errorf("%.40q is not more than 0 and 1 at most", v)
	}
	q.Sample = f
	return nil
}

func parseRate(q *Query, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > MaxRate {
		return fmt.Errorf("%.40q is not 1 to %d events per second", v, MaxRate)
	}
	q.Rate = n
	return nil
}

func parseFor(q *Query, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > MaxFor {
		return fmt.Errorf("%.40q is no duration of %s at most", v, short(MaxFor))
	}
	q.For = d
	return nil
}
