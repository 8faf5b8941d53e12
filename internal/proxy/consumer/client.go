package consumer

import (
	"crypto/sha256"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Client finds the Consumer that has a client ID, as Key finds that of a key. It is
// nobody if none of the secrets with that ID is accepted at the time: who could not
// get a token now has none that counts.
func (d *Directory) Client(id, namespace string, every bool, at time.Time) *ir.Consumer {
	e := d.Key(ir.ClientDigest(id), namespace, every)
	if e == nil {
		return nil
	}
	for i := range e.Consumer.Credentials {
		if c := &e.Consumer.Credentials[i]; c.ClientID == id && c.Valid(at) {
			return e.Consumer
		}
	}
	return nil
}

// ClientSecret finds the credential with a client ID and a secret; nil is that there
// is none. It takes as long for IDs that nobody has. Whether it is accepted at this
// time is not looked at.
func (d *Directory) ClientSecret(id string, secret []byte, namespace string, every bool) *Entry {
	e := d.Key(ir.ClientSecretDigest(id, sha256.Sum256(secret)), namespace, every)
	if e == nil || e.Credential.ClientID != id {
		return nil
	}
	return e
}
