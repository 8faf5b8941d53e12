package adminapi

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

const hidden = ir.Hidden

// complete gives lists that are empty the form of lists.
func (s Status) complete() Status {
	if s.Objects == nil {
		s.Objects = map[string]int{}
	}
	s.Ready = s.State == Serving
	s.Problems = append([]Problem{}, s.Problems...)
	s.Refused = append([]Refused{}, s.Refused...)
	s.Listeners = append([]ListenerStatus{}, s.Listeners...)
	s.RateLimitStores = append([]RateLimitStoreStatus{}, s.RateLimitStores...)
	s.Certificates = append([]Certificate{}, s.Certificates...)
	s.Dependencies = append([]Dependency{}, s.Dependencies...)
	s.Sinks = append([]SinkStatus{}, s.Sinks...)
	s.Statuses = append([]ObjectStatus{}, s.Statuses...)
	return s
}

func sortObjects(list []Object) {
	slices.SortFunc(list, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// Veiled is o with v in the place of each credential, and certificates and
// private keys of Secrets named by their fingerprints. A value that is not JSON
// is left out: what is not understood is not shown.
func (o Object) Veiled(veil ir.Veil) Object { return o.redacted(true, veil) }

// redacted hides what must not leave the process.
func (o Object) redacted(values bool, veil ir.Veil) Object {
	if o.Kind == "Secret" {
		o.Hash = "" // a digest of a short secret gives it away
	}
	if !values || o.Value == nil {
		o.Value, o.Text = nil, ""
		return o
	}
	var v map[string]any
	if err := json.Unmarshal(o.Value, &v); err != nil {
		o.Value, o.Text = nil, ""
		return o
	}
	hideCredentials(v, veil)
	if o.Kind == "ConfigMap" {
		hideNamed(v["data"], veil)
		hideNamed(v["binaryData"], veil)
	}
	if meta, ok := v["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
		if a, ok := meta["annotations"].(map[string]any); ok {
			delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		}
		hideNamed(meta["annotations"], veil)
		hideNamed(meta["labels"], veil)
	}
	if o.Kind == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			if m, ok := v[field].(map[string]any); ok {
				for k, x := range m {
					m[k] = secretText(x, veil)
				}
			}
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		text = nil
	}
	if o.Text != "" && !same(o.Value, text) {
		o.Text = ""
	}
	o.Value = text
	return o
}

// hideCredentials hides, wherever it is, the value beside each name of a header
// or parameter that usually carries credentials, what has such a name itself,
// and what looks like one.
func hideCredentials(v any, veil ir.Veil) any {
	switch v := v.(type) {
	case string:
		if ir.SecretValue(v) {
			return veil(v)
		}
		return v
	case map[string]any:
		name, named := v["name"].(string)
		for k, x := range v {
			text, isText := x.(string)
			switch {
			case isText && named && k == "value" && ir.Credential(name, text):
				v[k] = veil(text)
			case isText && k == "hash": // of a key or a password
				v[k] = veil(text)
			case isText && k == "path":
				v[k] = veil.Target(text)
			default:
				v[k] = hideCredentials(x, veil)
			}
		}
		return v
	case []any:
		for i, x := range v {
			v[i] = hideCredentials(x, veil)
		}
		return v
	}
	return v
}

// hideNamed hides the texts of a map whose keys say that they are credentials.
func hideNamed(v any, veil ir.Veil) {
	m, _ := v.(map[string]any)
	for k, x := range m {
		if text, ok := x.(string); ok && ir.SecretName(k) {
			m[k] = veil(text)
		}
	}
}
