package compile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
)

const (
	// minKey is 128 bits in hexadecimal or in base64, with room: a shorter key may
	// be found by its hash.
	minKey = 16
	maxKey = 1024
)

// consumer is a compiled Consumer and what it was compiled from. It is never
// changed afterwards.
type consumer struct {
	object     *store.Object
	deps       []*store.Object
	missing    bool // something that it names does not exist
	fallback   *store.Object
	ir         *ir.Consumer
	problems   []store.Problem
	conditions []status.Condition
	// original is what it was before others had its credentials.
	original *consumer
}

func (x *consumer) status() status.Object {
	return status.Object{Key: x.object.Key, Generation: meta(x.object).GetGeneration(), Position: x.object.Locate(""), Conditions: x.conditions}
}

// compileConsumers compiles the Consumers, or takes over what did not change.
func (c *compiler) compileConsumers() []*ir.Consumer {
	objects := c.set.Kind(ownGroup, v1alpha1.KindConsumer)
	if c.prev != nil && !c.consumersChanged(objects) {
		c.next.consumers = c.prev.consumers
		for _, x := range c.prev.consumers {
			c.takeOverConsumer(x)
		}
		return c.prevConfig.Consumers
	}
	var old []*consumer
	if c.prev != nil {
		old = c.prev.consumers
	}
	list := make([]*consumer, 0, len(objects))
	served := make([]*consumer, 0, len(objects)) // before, in the places of list
	for _, o := range objects {
		for len(old) > 0 && compareKeys(old[0].object.Key, o.Key) < 0 {
			old = old[1:]
		}
		var before *consumer
		if len(old) > 0 && old[0].object.Key == o.Key {
			before, old = old[0], old[1:]
		}
		x := before
		if x != nil && x.original != nil {
			x = x.original
		}
		if x == nil || x.object != o || x.missing && c.changes.any || !c.changes.fresh(x.deps) {
			if x = c.compileConsumer(o, x); x == nil {
				continue
			}
		}
		list, served = append(list, x), append(served, before)
	}
	c.withoutDuplicates(list, served)
	c.next.consumers = list
	out := make([]*ir.Consumer, 0, len(list))
	for _, x := range list {
		c.takeOverConsumer(x)
		if x.ir != nil {
			out = append(out, x.ir)
		}
	}
	return out
}

// consumersChanged tells whether a Consumer, or a Secret that one names, is not
// what it was.
func (c *compiler) consumersChanged(objects []*store.Object) bool {
	if !c.changes.any {
		return false
	}
	if before := c.prev.set.Kind(ownGroup, v1alpha1.KindConsumer); !slices.Equal(before, objects) {
		return true
	}
	return slices.ContainsFunc(c.prev.consumers, func(x *consumer) bool { return x.missing || !c.changes.fresh(x.deps) })
}

func (c *compiler) takeOverConsumer(x *consumer) {
	c.problems = append(c.problems, x.problems...)
	if x.fallback != nil {
		c.next.fallback[x.object.Key] = x.fallback
	}
}

// compileConsumer compiles a Consumer, or its last good version.
func (c *compiler) compileConsumer(o *store.Object, before *consumer) *consumer {
	v, ok := o.Value.(*v1alpha1.Consumer)
	if !ok {
		return nil
	}
	generation := meta(o).GetGeneration()
	x := &consumer{object: o, deps: []*store.Object{o}}
	accepted := status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation}
	resolved := status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation}
	used, spec := o, &v.Spec
	if faults := judgeConsumer(spec); len(faults) > 0 {
		for _, f := range faults {
			x.problems = append(x.problems, f.problem(o))
		}
		accepted.Status, accepted.Reason, accepted.Message = status.False, "Invalid", faults[0].field+": "+faults[0].message
		used = nil
		if old := c.lastGood(o); old != nil {
			if good, ok := old.Value.(*v1alpha1.Consumer); ok && len(judgeConsumer(&good.Spec)) == 0 {
				used, spec, x.fallback = old, &good.Spec, old
				accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
				x.problems = append(x.problems, keepsServing(o))
			}
		}
	}
	if used != nil {
		x.ir = c.consumerOf(x, used, spec, &resolved)
		if before != nil && before.ir != nil && reflect.DeepEqual(before.ir, x.ir) {
			x.ir = before.ir
		}
	}
	x.conditions = []status.Condition{accepted, resolved}
	return x
}

func (c *compiler) consumerOf(x *consumer, o *store.Object, spec *v1alpha1.ConsumerSpec, resolved *status.Condition) *ir.Consumer {
	out := &ir.Consumer{Namespace: o.Key.Namespace, Name: o.Key.Name, Plan: deref(spec.Plan, "")}
	for _, g := range spec.Groups {
		out.Groups = append(out.Groups, string(g))
	}
	out.GroupList = strings.Join(out.Groups, ",")
	labels := meta(o).GetLabels()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out.Labels = append(out.Labels, ir.Label{Name: name, Value: labels[name]})
	}
	for i := range spec.Credentials {
		cr := &spec.Credentials[i]
		one := ir.ConsumerCredential{Name: cr.Name}
		var message, remedy string
		kind := "apiKey"
		switch {
		case cr.HMAC != nil:
			kind, one.KeyID = "hmac", deref(cr.HMAC.KeyID, o.Key.Name)
			one.Secret, message, remedy = c.signingSecret(x, o, &cr.HMAC.SecretRef)
		case cr.PublicKey != nil:
			one.KeyID = deref(cr.PublicKey.KeyID, o.Key.Name)
			one.PublicKey, one.Algorithm = publicKey(cr.PublicKey)
		case cr.ClientSecret != nil:
			kind = "clientSecret"
			message, remedy = c.secretOfClient(x, o, cr.ClientSecret, &one)
		case cr.Certificate != nil:
			one.CertificateKey, one.CertificateValue, _ = certificateKey(cr.Certificate) // it was judged
		case cr.Basic != nil:
			kind, one.Username = "basic", deref(cr.Basic.Username, o.Key.Name)
			one.PasswordHash, message, remedy = c.passwordHash(x, o, cr.Basic)
		default:
			one.KeyDigest, message, remedy = c.keyDigest(x, o, cr.APIKey)
		}
		if message != "" {
			x.problems = append(x.problems, problemAt(o, fmt.Sprintf("spec.credentials[%d].%s.secretRef", i, kind), store.Warning, "InvalidReference", message, remedy))
			if resolved.Status == status.True {
				resolved.Status, resolved.Reason, resolved.Message = status.False, "InvalidReference", message
			}
			continue
		}
		if cr.NotBefore != nil {
			one.NotBefore = cr.NotBefore.UTC()
		}
		if cr.NotAfter != nil {
			one.NotAfter = cr.NotAfter.UTC()
		}
		out.Credentials = append(out.Credentials, one)
	}
	return out
}

// keyDigest is the SHA-256 of a key, or why there is none.
func (c *compiler) keyDigest(x *consumer, owner *store.Object, k *v1alpha1.APIKeyCredential) (digest []byte, message, remedy string) {
	if k.Hash != nil {
		digest, _ = parseKeyHash(*k.Hash) // it was judged
		return digest, "", ""
	}
	text, entry, message, remedy := c.entryOf(x, owner, k.SecretRef)
	name := entryName(k.SecretRef)
	switch {
	case message != "":
		return nil, message, remedy
	case len(text) < minKey || len(text) > maxKey:
		return nil, fmt.Sprintf("entry %q of %s has %d bytes, and a key has %d to %d", name, entry, len(text), minKey, maxKey), "\"gridway key create\" makes one"
	}
	sum := sha256.Sum256(text)
	return sum[:], "", ""
}

// passwordHash is the hash of a password, or why there is none.
func (c *compiler) passwordHash(x *consumer, owner *store.Object, b *v1alpha1.BasicCredential) (hash, message, remedy string) {
	if b.Hash != nil {
		return *b.Hash, "", "" // it was judged
	}
	text, entry, message, remedy := c.entryOf(x, owner, b.SecretRef)
	if message != "" {
		return "", message, remedy
	}
	if _, err := password.Parse(string(text)); err != nil {
		return "", fmt.Sprintf("entry %q of %s %s", entryName(b.SecretRef), entry, err), "\"gridway key hash --password\" makes it"
	}
	return string(text), "", ""
}

func entryName(r *v1alpha1.SecretKeyReference) string {
	if r.Key == "" {
		return "key"
	}
	return r.Key
}

// entryOf reads an entry of a Secret, without white space at its end.
func (c *compiler) entryOf(x *consumer, owner *store.Object, r *v1alpha1.SecretKeyReference) (text []byte, secret store.Key, message, remedy string) {
	o, key := c.secretOf(x, owner, r)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, key, message, remedy
	}
	text = bytes.TrimRight(secretEntry(o, entryName(r)), " \t\r\n")
	if len(text) == 0 {
		return nil, key, fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there"
	}
	return text, key, "", ""
}

func (c *compiler) secretOf(x *consumer, owner *store.Object, r *v1alpha1.SecretKeyReference) (*store.Object, store.Key) {
	key := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: r.Name}
	o := c.set.Get(key)
	if o == nil {
		x.missing = true
		return nil, key
	}
	x.deps = append(x.deps, o)
	return o, key
}

// parseKeyHash reads "sha256:HEX".
func parseKeyHash(s string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	digest, err := hex.DecodeString(digits)
	return digest, ok && err == nil && len(digest) == sha256.Size
}

func judgeConsumer(spec *v1alpha1.ConsumerSpec) []fault {
	var faults []fault
	names := map[string]bool{}
	for i := range spec.Credentials {
		cr := &spec.Credentials[i]
		add := func(field, message, remedy string) {
			faults = append(faults, fault{field: fmt.Sprintf("spec.credentials[%d]%s", i, field), code: "InvalidValue", message: message, remedy: remedy})
		}
		if names[cr.Name] {
			add(".name", fmt.Sprintf("%q is the name of another credential of this consumer", cr.Name), "")
		}
		names[cr.Name] = true
		if cr.NotBefore != nil && cr.NotAfter != nil && !cr.NotBefore.Before(cr.NotAfter) {
			add(".notAfter", "is not after notBefore: the credential is never accepted", "")
		}
		k := cr.APIKey
		given := 0
		for _, is := range []bool{k != nil, cr.Basic != nil, cr.Certificate != nil, cr.HMAC != nil, cr.PublicKey != nil, cr.ClientSecret != nil} {
			if is {
				given++
			}
		}
		if given != 1 {
			add("", "exactly one kind of credential must be given", "for example: apiKey: {hash: …}")
			continue
		}
		if cr.Certificate != nil {
			judgeCertificateCredential(cr.Certificate, add)
			continue
		}
		if cr.ClientSecret != nil {
			judgeClientSecret(cr.ClientSecret, add)
			continue
		}
		if cr.HMAC != nil || cr.PublicKey != nil {
			judgeSigningKey(cr, add)
			continue
		}
		if b := cr.Basic; b != nil {
			if (b.Hash == nil) == (b.SecretRef == nil) {
				add(".basic", "exactly one of hash and secretRef must be given", "")
			} else if b.Hash != nil {
				if _, err := password.Parse(*b.Hash); err != nil {
					add(".basic.hash", err.Error(), "\"gridway key hash --password\" makes it")
				}
			}
			continue
		}
		switch {
		case (k.Hash == nil) == (k.SecretRef == nil):
			add(".apiKey", "exactly one of hash and secretRef must be given", "")
		case k.Hash != nil:
			if _, ok := parseKeyHash(*k.Hash); !ok {
				add(".apiKey.hash", "must be sha256: and 64 hexadecimal digits", "\"gridway key hash\" makes it")
			}
		}
	}
	return faults
}

// withoutDuplicates takes keys away that an older consumer of the namespace has,
// since a key must say who calls. Served are the consumers before, or nil.
func (c *compiler) withoutDuplicates(list, served []*consumer) {
	type place struct {
		namespace string
		digest    [sha256.Size]byte
	}
	type holder struct {
		consumer, credential int
	}
	first := make(map[place]holder, len(list))
	lost := map[int][]int{} // credentials by consumer
	owner := map[holder]holder{}
	clients := clientOwners(list)
	for i, x := range list {
		if x.ir == nil {
			continue
		}
		for k := range x.ir.Credentials {
			digest, ok := x.ir.Credentials[k].Digest()
			if !ok {
				continue
			}
			at, me := place{x.ir.Namespace, digest}, holder{i, k}
			if id := x.ir.Credentials[k].ClientID; id != "" && clients[id] != i {
				lost[i] = append(lost[i], k)
				owner[me] = holder{clients[id], k}
				continue
			}
			was, taken := first[at]
			if !taken {
				first[at] = me
				continue
			}
			if byAge(list[i].object, list[was.consumer].object) < 0 {
				first[at], was, me = me, me, was
			}
			lost[me.consumer] = append(lost[me.consumer], me.credential)
			owner[me] = was
		}
	}
	for i, credentials := range lost {
		x := list[i]
		out := *x
		out.original = x
		copied := *x.ir
		copied.Credentials = nil
		out.problems = slices.Clone(x.problems)
		out.conditions = slices.Clone(x.conditions)
		for k := range x.ir.Credentials {
			if !slices.Contains(credentials, k) {
				copied.Credentials = append(copied.Credentials, x.ir.Credentials[k])
				continue
			}
			by := list[owner[holder{i, k}].consumer].object.Key
			same, remedy := "is the same key as", "make another key"
			if x.ir.Credentials[k].Username != "" {
				same, remedy = "has the same username as", "use another username"
			} else if id := x.ir.Credentials[k].ClientID; id != "" && owner[holder{i, k}].consumer != i {
				same, remedy = "has the same clientID as", "give it another clientID: it is unique in all namespaces"
			} else if x.ir.Credentials[k].KeyID != "" {
				same, remedy = "has the same keyID as", "give it another keyID"
			} else if x.ir.Credentials[k].CertificateKey != "" {
				same, remedy = "is the same certificate as", "a certificate is of one consumer: remove one of the two"
			}
			message := fmt.Sprintf("credential %q %s one of %s, which has it first", x.ir.Credentials[k].Name, same, by)
			if by == x.object.Key {
				message = fmt.Sprintf("credential %q %s another one of this consumer", x.ir.Credentials[k].Name, same)
			}
			out.problems = append(out.problems, problemAt(x.object, "spec.credentials", store.Error, "DuplicateCredential", message, remedy))
			out.conditions[0].Status, out.conditions[0].Reason, out.conditions[0].Message = status.False, string(gwv1.PolicyReasonConflicted), message
		}
		out.ir = &copied
		if before := served[i]; before != nil && before.ir != nil && reflect.DeepEqual(before.ir, out.ir) {
			out.ir = before.ir
		}
		list[i] = &out
	}
}
