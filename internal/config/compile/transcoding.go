package compile

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/transcoding"
)

// defaultDescriptorKey is the entry of a ConfigMap that descriptors are in.
const defaultDescriptorKey = "descriptors.binpb"

// defaultReflectionRefresh and leastReflectionRefresh are how often endpoints are asked.
const (
	defaultReflectionRefresh = time.Minute
	leastReflectionRefresh   = time.Second
)

func (j *trafficJudge) transcoding(t *v1alpha1.Transcoding) {
	if (t.DescriptorSet == nil) == (t.Reflection == nil) {
		j.add("transcoding", "exactly one of descriptorSet and reflection must be given", "")
	}
	r := t.Reflection
	if r == nil {
		return
	}
	if d := duration(r.Refresh, defaultReflectionRefresh); d < leastReflectionRefresh {
		j.add("transcoding.reflection.refresh", fmt.Sprintf("%s is shorter than %s", d, leastReflectionRefresh), "")
	}
	j.healthHost("transcoding.reflection.host", r.Host)
}

// schemaKey is what a schema was read from, and which services of it.
type schemaKey struct {
	object   *store.Object
	key      string
	services string
}

// schema is what was read of descriptors.
type schema struct {
	ir *ir.Schema
	// why it is of no use; empty if it is good
	why string
}

// transcodingOf compiles the policy's transcoding, which is one policy's alone.
func (c *compiler) transcodingOf(s *settings) *ir.Transcoding {
	t := s.spec.Transcoding
	if t == nil {
		return nil
	}
	j := deref(t.JSON, v1alpha1.TranscodingJSON{})
	out := &ir.Transcoding{
		Services: t.Services, MaxMessageBytes: deref(t.MaxMessageBytes, defaultBridgeMessage),
		Defaults: deref(j.AlwaysPrintDefaults, false), EnumNumbers: deref(j.EnumsAsNumbers, false), ProtoNames: deref(j.PreserveProtoNames, false),
		IgnoreUnknown: deref(j.Unknown, "") == "Ignore", Lines: deref(t.Streaming, "") == "Lines",
		AnnotatedOnly: deref(t.Unannotated, "") == "Refuse", PassUnmatched: deref(t.Unmatched, "") == "Pass",
	}
	if r := t.Reflection; r != nil {
		out.Reflection = &ir.Reflection{Host: deref(r.Host, ""), Refresh: duration(r.Refresh, defaultReflectionRefresh)}
	} else if r := t.DescriptorSet; r != nil {
		if found := c.schemaOf(s.origin["transcoding"].policy, t, r); found != nil {
			out.Schema = found.Name
		}
	}
	return out
}

// descriptorObject is the ConfigMap that a policy's descriptors are in.
func descriptorObject(policy *store.Object, r *v1alpha1.DescriptorSetRef) store.Key {
	return store.Key{Kind: "ConfigMap", Namespace: policy.Key.Namespace, Name: string(r.Name)}
}

// schemaOf finds the descriptors that a policy names, or those that were good
// before, and says what is wrong with them.
func (c *compiler) schemaOf(p *trafficPolicy, t *v1alpha1.Transcoding, r *v1alpha1.DescriptorSetRef) *ir.Schema {
	key := descriptorObject(p.used, r)
	o := c.set.Get(key)
	if o == nil {
		message, remedy := fmt.Sprintf("%s does not exist", key), "create it, or correct the name"
		if c.in.Refused[key] {
			message, remedy = fmt.Sprintf("%s has errors", key), "see the errors of that ConfigMap"
		}
		c.reportOnce(problemAt(p.used, "spec.transcoding.descriptorSet.name", store.Warning, "InvalidDescriptorSet", message, remedy))
		return nil
	}
	got := c.readSchema(o, t, r)
	if got.why == "" {
		return got.ir
	}
	c.reportOnce(problemAt(o, "data", store.Error, "InvalidDescriptorSet", got.why,
		"see google/api/http.proto for annotations; make the set with protoc --include_imports --descriptor_set_out, or with buf build"))
	if old := c.lastGood(o); old != nil {
		if good := c.readSchema(old, t, r); good.why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return good.ir
		}
	}
	c.reportOnce(problemAt(p.used, "spec.transcoding.descriptorSet", store.Warning, "InvalidDescriptorSet",
		fmt.Sprintf("%s cannot be used, so that requests for transcoding are answered 503", key), "see the errors of that ConfigMap"))
	return nil
}

// readSchema reads descriptors and remembers the result for later runs.
func (c *compiler) readSchema(o *store.Object, t *v1alpha1.Transcoding, r *v1alpha1.DescriptorSetRef) *schema {
	k := schemaKey{o, deref(r.Key, defaultDescriptorKey), fmt.Sprintf("%q", t.Services)}
	got := c.next.schemas[k]
	if got == nil && c.prev != nil {
		got = c.prev.schemas[k]
	}
	if got == nil {
		got = parseSchema(o, k.key, t.Services)
	}
	c.next.schemas[k] = got
	return got
}

func parseSchema(o *store.Object, key string, services []string) *schema {
	m, ok := o.Value.(*corev1.ConfigMap)
	if !ok {
		return &schema{why: "it is not a ConfigMap"}
	}
	set := m.BinaryData[key]
	if len(set) == 0 {
		set = []byte(m.Data[key])
	}
	if len(set) == 0 {
		return &schema{why: fmt.Sprintf("it has no entry %s", key)}
	}
	if _, err := transcoding.Parse(set, transcoding.Options{Services: services}); err != nil {
		return &schema{why: fmt.Sprintf("%s: %s", key, err)}
	}
	return &schema{ir: &ir.Schema{Name: fmt.Sprintf("%s/%s@%016x", o.Key, key, xxhash.Sum64(set)), Set: set}}
}

// schemas are those of the configuration's routes, by name.
func (c *compiler) schemas() []*ir.Schema {
	// What was read in this run or taken over with routes: the policies say.
	found := map[string]*ir.Schema{}
	for _, p := range c.traffic.all {
		if p.spec == nil || p.spec.Transcoding == nil || p.spec.Transcoding.DescriptorSet == nil {
			continue
		}
		if s := c.schemaOf(p, p.spec.Transcoding, p.spec.Transcoding.DescriptorSet); s != nil {
			found[s.Name] = s
		}
	}
	var out []*ir.Schema
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[name])
	}
	return out
}

// noteDescriptors marks the targets of policies whose descriptors changed.
func (ch *changes) noteDescriptors(before, after *store.Set, key store.Key) {
	for _, set := range []*store.Set{before, after} {
		for _, o := range set.Kind(ownGroup, "TrafficPolicy") {
			p, ok := o.Value.(*v1alpha1.TrafficPolicy)
			if !ok || p.Spec.Transcoding == nil || p.Spec.Transcoding.DescriptorSet == nil ||
				descriptorObject(o, p.Spec.Transcoding.DescriptorSet) != key {
				continue
			}
			ch.notePolicy(before, o)
		}
	}
}
