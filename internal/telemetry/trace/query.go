package trace

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultSlow is what "slow" is for who does not say how slow.
const DefaultSlow = time.Second

// Names of a query's parameters in URLs, and between control planes and proxies.
const (
	paramTrace   = "trace"
	paramRequest = "request"
	paramSlow    = "slow"
	paramErrors  = "errors"
	paramService = "service"
	paramRoute   = "route"
	paramSince   = "since"
	paramNotable = "notable"
	paramEdge    = "edge"
	paramLimit   = "limit"
)

// maxName bounds what is looked for, in bytes.
const maxName = 256

// Values is the query as that of a URL. ParseQuery reads it.
func (q *Query) Values() url.Values {
	v := url.Values{}
	set := func(name, value string, is bool) {
		if is {
			v.Set(name, value)
		}
	}
	set(paramTrace, q.TraceID, q.TraceID != "")
	set(paramRequest, q.RequestID, q.RequestID != "")
	set(paramSlow, q.Slow.String(), q.Slow > 0)
	set(paramErrors, "true", q.Errors)
	set(paramService, q.Service, q.Service != "")
	set(paramRoute, q.Route, q.Route != "")
	set(paramSince, q.Since.UTC().Format(time.RFC3339Nano), !q.Since.IsZero())
	set(paramNotable, "true", q.Notable)
	set(paramEdge, "true", q.Edge)
	set(paramLimit, strconv.Itoa(q.Limit), q.Limit > 0)
	return v
}

// ParseQuery reads a query: trace (32 hexadecimal digits), request, slow (a duration, or
// true for DefaultSlow), errors, notable and edge (true or false), service, route, since (a time
// of RFC 3339, or a duration before now) and limit (1 to MaxFound). The error names the
// parameter and what it may be.
func ParseQuery(v url.Values, now time.Time) (*Query, error) {
	q := &Query{}
	for _, name := range sorted(v) {
		if len(v[name]) != 1 {
			return nil, fmt.Errorf("%s is given %d times", name, len(v[name]))
		}
		if err := q.set(name, v[name][0], now); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func sorted(v url.Values) []string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (q *Query) set(name, value string, now time.Time) (err error) {
	switch name {
	case paramTrace:
		if _, ok := ParseID(value); !ok {
			return fmt.Errorf("%s must be 32 hexadecimal digits in lower case, not all zero, and is %q", name, cut(value))
		}
		q.TraceID = value
	case paramRequest:
		q.RequestID, err = named(name, value)
	case paramService:
		q.Service, err = named(name, value)
	case paramRoute:
		q.Route, err = named(name, value)
	case paramErrors:
		q.Errors, err = yesNo(name, value)
	case paramNotable:
		q.Notable, err = yesNo(name, value)
	case paramEdge:
		q.Edge, err = yesNo(name, value)
	case paramSlow:
		q.Slow, err = slowness(value)
	case paramSince:
		q.Since, err = moment(value, now)
	case paramLimit:
		q.Limit, err = strconv.Atoi(value)
		if err != nil || q.Limit < 1 || q.Limit > MaxFound {
			return fmt.Errorf("%s must be a number from 1 to %d, and is %q", name, MaxFound, cut(value))
		}
	default:
		return fmt.Errorf("there is no parameter %q; there are trace, request, slow, errors, notable, edge, service, route, since and limit", cut(name))
	}
	return err
}

func named(name, value string) (string, error) {
	if value == "" || len(value) > maxName {
		return "", fmt.Errorf("%s must have 1 to %d bytes", name, maxName)
	}
	return value, nil
}

func yesNo(name, value string) (bool, error) {
	switch value {
	case "true", "":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%s must be true or false, and is %q", name, cut(value))
}

func slowness(value string) (time.Duration, error) {
	switch value {
	case "true", "":
		return DefaultSlow, nil
	case "false":
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("slow must be true or a duration such as 250ms, and is %q", cut(value))
	}
	return d, nil
}

func moment(value string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(value); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || t.UnixNano() < 0 || t.Year() > 2200 {
		return t, fmt.Errorf("since must be a duration such as 15m or a time such as 2026-11-22T10:00:00Z, and is %q", cut(value))
	}
	return t, nil
}

// cut bounds what errors repeat.
func cut(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
