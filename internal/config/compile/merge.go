package compile

import (
	"reflect"
	"slices"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

// settings is the merger of a chain of policies.
type settings struct {
	spec v1alpha1.TrafficPolicySpec
	// winners are the policies with a field in force, most specific first.
	winners []bound
	losses  []boundLoss
	// origin is the policy that each leaf came from.
	origin map[string]bound
	// retry is what these settings come to for a rule without a word of its own.
	retry    *ir.Retry
	hasRetry bool
}

type boundLoss struct {
	bound
	loss
}

// merge merges policies, most specific first, field by field. The result is
// shared between all that have the same chain.
func (c *compiler) merge(chain []bound) *settings {
	key := chainKey(chain)
	if s := c.traffic.merged[key]; s != nil {
		return s
	}
	s := mergeChain(chain, func(spec *v1alpha1.TrafficPolicySpec) v1alpha1.TrafficPolicySpec {
		v := *spec
		v.Client, v.TargetRefs = nil, nil
		return v
	})
	c.traffic.merged[key] = s
	return s
}

// mergeChain merges what part takes of each policy.
func mergeChain(chain []bound, part func(*v1alpha1.TrafficPolicySpec) v1alpha1.TrafficPolicySpec) *settings {
	s := &settings{origin: map[string]bound{}}
	for _, b := range chain {
		before := len(s.origin)
		m := merger{settings: s, from: b}
		spec := part(b.policy.spec)
		m.merge(reflect.ValueOf(&s.spec).Elem(), reflect.ValueOf(&spec).Elem(), "")
		if len(s.origin) > before {
			s.winners = append(s.winners, b)
		}
	}
	return s
}

// settle tells each policy of the chain what became of it. The settings may
// come from an earlier run, as part of a route that was taken over.
func (c *compiler) settle(s *settings) {
	if c.traffic.settled[s] {
		return
	}
	c.traffic.settled[s] = true
	for _, b := range s.winners {
		if p := c.traffic.byKey[b.policy.object.Key]; p != nil {
			if !slices.Contains(p.matters, b.target) {
				p.matters = append(p.matters, b.target)
			}
		}
	}
	for _, l := range s.losses {
		c.loseTo(l)
	}
}

func (c *compiler) loseTo(l boundLoss) {
	if p := c.traffic.byKey[l.policy.object.Key]; p != nil {
		p.lose(l.target, l.loss)
	}
}

// merger copies the leaves of one policy that are not set yet.
type merger struct {
	settings *settings
	from     bound
}

// whole are the fields that are taken as one from one policy.
var whole = map[string]bool{"sessionPersistence": true, "directResponse": true, "transcoding": true}

func (m *merger) merge(dst, src reflect.Value, path string) {
	for i := range src.NumField() {
		name, _, _ := strings.Cut(src.Type().Field(i).Tag.Get("json"), ",")
		p := name
		if path != "" {
			p = path + "." + name
		}
		from, to := src.Field(i), dst.Field(i)
		if isUnset(from) || m.excluded(p) {
			continue
		}
		if from.Kind() == reflect.Pointer && from.Elem().Kind() == reflect.Struct && from.Elem().NumField() > 0 &&
			!whole[p] && from.Elem().Type().PkgPath() == m.settings.pkgPath() {
			if to.IsNil() {
				to.Set(reflect.New(to.Type().Elem()))
				m.settings.origin[p] = m.from
			}
			m.merge(to.Elem(), from.Elem(), p)
			continue
		}
		m.take(to, from, p)
	}
}

func (s *settings) pkgPath() string { return reflect.TypeOf(s.spec).PkgPath() }

// excluded: a check is over HTTP, gRPC or TCP, as the most specific policy says.
func (m *merger) excluded(path string) bool {
	hc := m.settings.spec.HealthCheck
	if hc == nil {
		return false
	}
	switch path {
	case "healthCheck.http":
		return hc.GRPC != nil || hc.TCP != nil
	case "healthCheck.grpc":
		return hc.HTTP != nil || hc.TCP != nil
	case "healthCheck.tcp":
		return hc.HTTP != nil || hc.GRPC != nil
	}
	return false
}

func (m *merger) take(to, from reflect.Value, path string) {
	if isUnset(to) {
		to.Set(from)
		m.settings.origin[path] = m.from
		return
	}
	winner, ok := m.settings.origin[path]
	if !ok || winner.policy == m.from.policy {
		return
	}
	m.settings.losses = append(m.settings.losses, boundLoss{m.from, loss{
		path: path, winner: winner.policy.object.Key.String() + " on " + winner.target.String(),
		equal: winner.target == m.from.target,
	}})
}

// isUnset: nil pointers and slices. An empty list is a value of its own.
func isUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice:
		return v.IsNil()
	}
	return v.IsZero()
}

// isEmpty tells whether a policy says nothing.
func isEmpty(spec *v1alpha1.TrafficPolicySpec) bool {
	v := reflect.ValueOf(spec).Elem()
	for i := range v.NumField() {
		if !isUnset(v.Field(i)) {
			return false
		}
	}
	return true
}
