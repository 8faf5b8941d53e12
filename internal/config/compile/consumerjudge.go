package compile

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/password"
)

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
