package compile

import (
	"fmt"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// ClientID is what a client calls itself.
func ClientID(namespace, name string, c *v1alpha1.ClientSecretCredential) string {
	return deref(c.ClientID, namespace+"."+name)
}

func judgeClientSecret(cs *v1alpha1.ClientSecretCredential, add func(field, message, remedy string)) {
	const field = ".clientSecret"
	if cs.ClientID != nil && (!asciiPattern.MatchString(*cs.ClientID) || len(*cs.ClientID) > ir.MaxClientID) {
		add(field+".clientID", fmt.Sprintf("must be of visible ASCII characters and spaces, %d at most", ir.MaxClientID), "")
	}
	if (cs.Hash == nil) == (cs.SecretRef == nil) {
		add(field, "exactly one of hash and secretRef must be given", "\"gridway key create\" makes a secret and its hash")
	} else if cs.Hash != nil {
		if _, ok := parseKeyHash(*cs.Hash); !ok {
			add(field+".hash", "must be sha256: and 64 hexadecimal digits", "\"gridway key hash\" makes it")
		}
	}
	may := map[v1alpha1.TokenScope]bool{}
	for i, s := range cs.Scopes {
		may[s] = true
		if !scopePattern.MatchString(string(s)) {
			add(fmt.Sprintf("%s.scopes[%d]", field, i), fmt.Sprintf("%q is not the name of a scope (RFC 6749 §3.3)", s), "names have no spaces, quotation marks and backslashes")
		}
	}
	for i, s := range cs.DefaultScopes {
		if !may[s] {
			add(fmt.Sprintf("%s.defaultScopes[%d]", field, i), fmt.Sprintf("%q is not among scopes", s), "add it there")
		}
	}
}

// secretOfClient compiles a credential, or says why it is of no use.
func (c *compiler) secretOfClient(x *consumer, o *store.Object, cs *v1alpha1.ClientSecretCredential, out *ir.ConsumerCredential) (message, remedy string) {
	out.ClientID = ClientID(o.Key.Namespace, o.Key.Name, cs)
	out.Scopes, out.DefaultScopes = scopeNames(cs.Scopes), scopeNames(cs.DefaultScopes)
	out.Audiences = cs.Audiences
	if cs.DefaultScopes == nil {
		out.DefaultScopes = out.Scopes
	}
	key := &v1alpha1.APIKeyCredential{Hash: cs.Hash, SecretRef: cs.SecretRef}
	out.SecretDigest, message, remedy = c.keyDigest(x, o, key)
	return message, remedy
}

// clientOwners are the consumers, by their places, that have client IDs: of several
// the oldest.
func clientOwners(list []*consumer) map[string]int {
	owners := map[string]int{}
	for i, x := range list {
		if x.ir == nil {
			continue
		}
		for k := range x.ir.Credentials {
			id := x.ir.Credentials[k].ClientID
			if id == "" {
				continue
			}
			if was, taken := owners[id]; !taken || was != i && byAge(x.object, list[was].object) < 0 {
				owners[id] = i
			}
		}
	}
	return owners
}
