package filter

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Claims are what somebody whom the configuration trusts says of the caller: the
// issuer of a token, an introspection, an external server. They are immutable and
// may be shared by requests.
type Claims struct {
	// Issuer and Subject are the claims "iss" and "sub".
	Issuer, Subject string
	// ClientID is the program that the caller uses: the claim "client_id" (RFC 9068
	// §2.2) or else "azp" (OpenID Connect Core 1.0 §2).
	ClientID string
	// Scopes are those of the claim "scope" (RFC 8693 §4.2), or of "scp".
	Scopes []string

	values map[string]any
}

// NewClaims takes over values, which are of JSON as encoding/json decodes it, with
// json.Number or without. Numbers become int64 where they are integers of that
// size, and float64.
func NewClaims(values map[string]any) *Claims {
	for name, v := range values {
		values[name] = normal(v)
	}
	c := &Claims{values: values}
	c.Issuer, _ = values["iss"].(string)
	c.Subject, _ = values["sub"].(string)
	if c.ClientID, _ = values["client_id"].(string); c.ClientID == "" {
		c.ClientID, _ = values["azp"].(string)
	}
	for _, name := range []string{"scope", "scp"} {
		switch v := values[name].(type) {
		case string:
			c.Scopes = strings.Fields(v)
		case []any:
			for _, one := range v {
				if s, ok := one.(string); ok {
					c.Scopes = append(c.Scopes, s)
				}
			}
		}
		if c.Scopes != nil {
			break
		}
	}
	return c
}

func normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case float64:
		if n := int64(v); float64(n) == v && -1<<53 <= n && n <= 1<<53 {
			return n
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = normal(v[name])
		}
	}
	return v
}

// Values are all claims: string, bool, int64, float64, nil, []any and
// map[string]any. Nobody may change them.
func (c *Claims) Values() map[string]any {
	if c == nil {
		return nil
	}
	return c.values
}

// Lookup returns the claim that a path names, as ir.ParseClaim makes it.
func (c *Claims) Lookup(path []string) (value any, ok bool) {
	if c == nil || len(path) == 0 {
		return nil, false
	}
	value, ok = c.values[path[0]]
	for _, step := range path[1:] {
		switch v := value.(type) {
		case map[string]any:
			value, ok = v[step]
		case []any:
			i, err := strconv.ParseUint(step, 10, 31)
			if err != nil || i >= uint64(len(v)) || len(step) > 1 && step[0] == '0' {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, ok
}

// AppendText appends a claim's value as text: strings, numbers and booleans as
// they are, lists of them with commas between. It is false, with nothing
// appended, for what is not there and for objects.
func (c *Claims) AppendText(dst []byte, path []string) ([]byte, bool) {
	v, ok := c.Lookup(path)
	if !ok {
		return dst, false
	}
	list, isList := v.([]any)
	if !isList {
		return AppendScalar(dst, v)
	}
	start := len(dst)
	for i, one := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = AppendScalar(dst, one); !ok {
			return dst[:start], false
		}
	}
	return dst, true
}

// AppendScalar appends a string, number or boolean among the values of claims.
func AppendScalar(dst []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), true
	case bool:
		return strconv.AppendBool(dst, v), true
	case int64:
		return strconv.AppendInt(dst, v, 10), true
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64), true
	}
	return dst, false
}
