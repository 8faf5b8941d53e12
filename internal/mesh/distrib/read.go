package distrib

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// readers read the bodies of each kind.
var readers = map[string]func(*Resource) (item any, shares []ruleShares, err error){
	KindAddressList:    plain(func(x *ir.AddressList) string { return x.Name }),
	KindAuthorization:  plain(authorizationName),
	KindCluster:        readCluster,
	KindConsumer:       readConsumer,
	KindEndpoints:      readEndpoints,
	KindKeySet:         plain(func(x *ir.KeySet) string { return x.Name }),
	KindListener:       plain(func(x *ir.Listener) string { return x.Name }),
	KindLogin:          plain(func(x *ir.Login) string { return x.Name }),
	KindPolicies:       plain(func(*[]string) string { return "" }),
	KindRateLimit:      plain(rateLimitName),
	KindRateLimitStore: plain(func(x *ir.RateLimitStore) string { return x.Name }),
	KindTelemetrySink:  plain(func(x *ir.TelemetrySink) string { return x.Name }),
	KindRevocationList: plain(func(x *ir.RevocationLists) string { return x.Name }),
	KindRoute:          readRoute,
	KindSchema:         plain(func(x *ir.Schema) string { return x.Name }),
	KindStream:         readStream,
	KindTokenIssuer:    plain(func(x *ir.TokenIssuer) string { return x.Name }),
	KindUserAgentList:  plain(func(x *ir.UserAgentList) string { return x.Name }),
}

func plain[T any](name func(*T) string) func(*Resource) (any, []ruleShares, error) {
	return func(r *Resource) (any, []ruleShares, error) {
		x := new(T)
		if err := unmarshal(r.Body, x); err != nil {
			return nil, nil, err
		}
		return x, nil, named(r, name(x))
	}
}

func named(r *Resource, name string) error {
	if name != r.Name {
		return fmt.Errorf("it is called %q inside", name)
	}
	return nil
}

func readRoute(r *Resource) (any, []ruleShares, error) {
	w := routeWire{Route: &ir.Route{}}
	if err := unmarshal(r.Body, &w); err != nil {
		return nil, nil, err
	}
	return w.Route, w.Shared, named(r, w.Name)
}

func readStream(r *Resource) (any, []ruleShares, error) {
	w := streamWire{StreamRoute: &ir.StreamRoute{}}
	if err := unmarshal(r.Body, &w); err != nil {
		return nil, nil, err
	}
	return w.StreamRoute, w.Shared, named(r, w.Name)
}

func readCluster(r *Resource) (any, []ruleShares, error) {
	c := &ir.Cluster{}
	if err := unmarshal(r.Body, c); err != nil {
		return nil, nil, err
	}
	if c.Endpoints != nil {
		return nil, nil, errors.New("it has endpoints inside")
	}
	return c, nil, named(r, c.Name)
}

func readConsumer(r *Resource) (any, []ruleShares, error) {
	w := consumerWire{Consumer: &ir.Consumer{}}
	if err := unmarshal(r.Body, &w); err != nil {
		return nil, nil, err
	}
	for _, s := range w.Secrets {
		if s.Credential < 0 || s.Credential >= len(w.Credentials) {
			return nil, nil, fmt.Errorf("a secret of credential %d of %d", s.Credential, len(w.Credentials))
		}
		w.Credentials[s.Credential].Secret = s.Secret
	}
	w.GroupList = strings.Join(w.Groups, ",")
	return w.Consumer, nil, named(r, w.Consumer.String())
}

func readEndpoints(r *Resource) (any, []ruleShares, error) {
	list, err := DecodeEndpoints(r.Body)
	return &list, nil, err
}

// unmarshal reads JSON that has no fields that to has not, but for such as say
// nothing: a newer control plane may write those for what is not used.
func unmarshal(body []byte, to any) error {
	err := strictly(body, to)
	if err == nil || !strings.Contains(err.Error(), "unknown field") {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return err
	}
	understood, err := json.Marshal(to)
	if err != nil {
		return err
	}
	var wrote, read any
	if err := errors.Join(json.Unmarshal(body, &wrote), json.Unmarshal(understood, &read)); err != nil {
		return err
	}
	if field := unread(wrote, read, ""); field != "" {
		return fmt.Errorf("this version of the proxy does not know %s, and has to be upgraded first", field)
	}
	return withoutNulls(body)
}

// unread finds a field that says something and was not understood: "rules[0].policy.x".
func unread(wrote, read any, at string) string {
	switch w := wrote.(type) {
	case map[string]any:
		r, _ := read.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(w)) {
			in, ok := r[name]
			if inner, _ := w[name].(map[string]any); !ok && len(inner) == 0 && !saysNothing(w[name]) {
				return strings.TrimPrefix(at+"."+name, ".")
			}
			if field := unread(w[name], in, at+"."+name); field != "" {
				return field
			}
		}
	case []any:
		r, _ := read.([]any)
		for i := range min(len(w), len(r)) {
			if field := unread(w[i], r[i], fmt.Sprintf("%s[%d]", at, i)); field != "" {
				return field
			}
		}
	}
	return ""
}

// saysNothing holds for null, false, 0, "" and []. It does not for {}: something is
// there.
func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func strictly(body []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.InputOffset() != int64(len(body)) {
		return errors.New("something follows the JSON")
	}
	return withoutNulls(body)
}

// withoutNulls refuses null inside arrays, which would be nil pointers in lists.
func withoutNulls(body []byte) error {
	if !bytes.Contains(body, []byte("null")) {
		return nil
	}
	// Whether in an array, for each that is open; d knows nothing of keys.
	var arrays []bool
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			return nil //nolint:nilerr // it was read before: this is its end
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			arrays = append(arrays, token == json.Delim('['))
		case json.Delim(']'), json.Delim('}'):
			arrays = arrays[:len(arrays)-1]
		case nil:
			if len(arrays) > 0 && arrays[len(arrays)-1] || len(arrays) == 0 {
				return errors.New("null where something has to be")
			}
		}
	}
}
