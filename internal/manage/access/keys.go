package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/statedb"
)

// NewKey asks for an API key, or for the secret of a client.
type NewKey struct {
	// Name of the credential; left out it is "key-1", or the next number.
	Name string `json:"name,omitempty"`
	// Prefix is what the key begins with, by which people and scanners know it.
	Prefix string `json:"prefix,omitempty"`
	// NotBefore and NotAfter bound when it is accepted; left out they do not.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Overlap is for a rotation: how many seconds the old key is accepted
	// together with the new one. Left out it is a day; 0 ends it at once.
	Overlap *int64 `json:"overlapSeconds,omitempty"`
	// Client makes it a client secret, for tokens of a TokenIssuer. A rotation takes
	// it from the old one.
	Client *NewClient `json:"client,omitempty"`
}

// NewClient says what a client is to be.
type NewClient struct {
	// ID is the client ID; left out it is NAMESPACE.NAME of the consumer.
	ID string `json:"id,omitempty"`
	// Scopes that the client may have; left out it may have none.
	Scopes []string `json:"scopes,omitempty"`
	// DefaultScopes are those that it gets without asking; left out they are all.
	DefaultScopes []string `json:"defaultScopes,omitempty"`
	// Audiences that its tokens may be for; left out they are all of the issuer's.
	Audiences []string `json:"audiences,omitempty"`
}

// CreatedKey is a key with its text, which is shown this once.
type CreatedKey struct {
	Namespace string    `json:"namespace"`
	Consumer  string    `json:"consumer"`
	Name      string    `json:"name"`
	Key       string    `json:"key"`
	Hash      string    `json:"hash"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Replaces is the key that this one takes over from, or several with commas, until
	// ReplacedUntil.
	Replaces string `json:"replaces,omitempty"`
	// ClientID is set for the secret of a client, with the scopes it may have.
	ClientID      string    `json:"clientID,omitempty"`
	Scopes        []string  `json:"scopes,omitempty"`
	ReplacedUntil time.Time `json:"replacedUntil,omitzero"`
}

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 366 * 24 * time.Hour
	maxPrefix      = 64
	// everyKey is no key's name, and stands for all API keys of a consumer.
	everyKey = ""
	// maxCredentials is what the schema of the kind allows.
	maxCredentials = 16
)

func (q *NewKey) check(now time.Time) error {
	switch {
	case q.Name != "" && (!validName(q.Name) || len(q.Name) > maxTokenName):
		return invalid("name", "must have 1 to %d letters, digits, hyphens, underscores and dots", maxTokenName)
	case len(q.Prefix) > maxPrefix || strings.ContainsFunc(q.Prefix, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`";,\`, r) }):
		return invalid("prefix", "has more than %d characters, or one that cannot be in a header; letters, digits, - and _ are fine", maxPrefix)
	case !q.NotAfter.IsZero() && !q.NotAfter.After(now):
		return invalid("notAfter", "is in the past")
	case !q.NotAfter.IsZero() && !q.NotBefore.Before(q.NotAfter):
		return invalid("notAfter", "is not after notBefore: the key would never be accepted")
	case q.Overlap != nil && (*q.Overlap < 0 || *q.Overlap > int64(maxOverlap/time.Second)):
		return invalid("overlapSeconds", "must be 0 to %d", int64(maxOverlap/time.Second))
	}
	return nil
}

// CreateKey makes a key for a consumer.
func (s *Service) CreateKey(ctx context.Context, by Actor, namespace, consumer string, q NewKey) (out *CreatedKey, err error) {
	if q.Overlap != nil {
		return nil, invalid("overlapSeconds", "is for a rotation")
	}
	return s.addKey(ctx, by, namespace, consumer, q, "create-key", nil)
}

// RotateKey makes a key that takes over from another one.
func (s *Service) RotateKey(ctx context.Context, by Actor, namespace, consumer, key string, q NewKey) (*CreatedKey, error) {
	if q.Client != nil {
		return nil, invalid("client", "is for a new secret: a rotation keeps client ID and scopes, which an update of the consumer changes")
	}
	if key == everyKey {
		return nil, invalid("", "name the key that is to be taken over from")
	}
	return s.addKey(ctx, by, namespace, consumer, q, "rotate-key", &key)
}

// RotateKeys makes an API key that takes over from all that a consumer has.
func (s *Service) RotateKeys(ctx context.Context, by Actor, namespace, consumer string, q NewKey) (*CreatedKey, error) {
	if q.Client != nil {
		return nil, invalid("client", "is for a new secret: API keys are rotated together")
	}
	every := everyKey
	return s.addKey(ctx, by, namespace, consumer, q, "rotate-keys", &every)
}

func (s *Service) addKey(ctx context.Context, by Actor, namespace, consumer string, q NewKey, action string, replaces *string) (out *CreatedKey, err error) {
	now := s.time()
	if err := q.check(now); err != nil {
		return nil, err
	}
	err = s.change(ctx, namespace, consumer, func(tx *statedb.Tx, version int64, old *Record) error {
		if old == nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, consumer, statedb.ErrNotFound)
		}
		m, err := readManifest(old.Manifest(true)) // a copy
		if err != nil {
			return err
		}
		m.Spec.Credentials = slices.DeleteFunc(m.Spec.Credentials, func(c v1alpha1.ConsumerCredential) bool {
			return replaces != nil && c.Name != *replaces && (c.APIKey != nil || c.ClientSecret != nil) && c.NotAfter != nil && c.NotAfter.Time.Before(now)
		})
		out = &CreatedKey{Namespace: namespace, Consumer: consumer, Name: q.Name, Key: q.Prefix + randomText(), NotBefore: q.NotBefore.UTC(), NotAfter: q.NotAfter.UTC()}
		sum := sha256.Sum256([]byte(out.Key))
		out.Hash = "sha256:" + hex.EncodeToString(sum[:])
		client := clientOf(q.Client)
		if replaces != nil {
			if client, err = m.replace(*replaces, &q, out, now); err != nil {
				return err
			}
		}
		switch {
		case out.Name == "":
			out.Name = m.freeName()
		case m.credential(out.Name) != nil:
			return fmt.Errorf("credential %q of consumer %s: %w", out.Name, m.name(), ErrExists)
		}
		if len(m.Spec.Credentials) >= maxCredentials {
			return invalid("credentials", "consumer %s has %d credentials, and no more may be made; revoke some", m.name(), len(m.Spec.Credentials))
		}
		made := v1alpha1.ConsumerCredential{Name: out.Name, NotBefore: timeOf(out.NotBefore), NotAfter: timeOf(out.NotAfter)}
		if client != nil {
			client.Hash, client.SecretRef = &out.Hash, nil
			made.ClientSecret = client
			out.ClientID = compile.ClientID(namespace, consumer, client)
			for _, s := range client.Scopes {
				out.Scopes = append(out.Scopes, string(s))
			}
		} else {
			made.APIKey = &v1alpha1.APIKeyCredential{Hash: &out.Hash}
		}
		m.Spec.Credentials = append(m.Spec.Credentials, made)
		if client != nil { // what was asked for is judged as what is written in a file
			if m, err = m.judged(); err != nil {
				return err
			}
		}
		_, err = s.put(ctx, tx, by, version, old, m, action)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// replace lets a key, or every API key, end when its overlap with the new one does. It
// returns the client whose secret the key is, if it is one.
func (m *manifest) replace(name string, q *NewKey, out *CreatedKey, now time.Time) (*v1alpha1.ClientSecretCredential, error) {
	overlap := defaultOverlap
	if q.Overlap != nil {
		overlap = time.Duration(*q.Overlap) * time.Second
	}
	from := now
	if q.NotBefore.After(now) {
		from = q.NotBefore
	}
	end := from.Add(overlap).UTC().Truncate(time.Second)
	var client *v1alpha1.ClientSecretCredential
	var names []string
	for i := range m.Spec.Credentials {
		c := &m.Spec.Credentials[i]
		switch {
		case name == everyKey && c.APIKey != nil:
		case name != everyKey && c.Name == name && (c.APIKey != nil || c.ClientSecret != nil):
			client = c.ClientSecret.DeepCopy()
		default:
			continue
		}
		if c.NotAfter == nil || c.NotAfter.Time.After(end) {
			c.NotAfter = timeOf(end)
		}
		names = append(names, c.Name)
		if c.NotAfter.UTC().After(out.ReplacedUntil) {
			out.ReplacedUntil = c.NotAfter.UTC()
		}
	}
	out.Replaces = strings.Join(names, ", ")
	switch {
	case len(names) == 0 && name == everyKey:
		return nil, fmt.Errorf("API key of consumer %s: %w", m.name(), statedb.ErrNotFound)
	case len(names) == 0:
		return nil, fmt.Errorf("key %q of consumer %s: %w", name, m.name(), statedb.ErrNotFound)
	}
	return client, nil
}

// clientOf is the credential that is asked for, nil for an API key.
func clientOf(q *NewClient) *v1alpha1.ClientSecretCredential {
	if q == nil {
		return nil
	}
	out := &v1alpha1.ClientSecretCredential{Scopes: scopesOf(q.Scopes), DefaultScopes: scopesOf(q.DefaultScopes), Audiences: q.Audiences}
	if q.ID != "" {
		out.ClientID = &q.ID
	}
	return out
}

func scopesOf(list []string) (out []v1alpha1.TokenScope) {
	for _, s := range list {
		out = append(out, v1alpha1.TokenScope(s))
	}
	return out
}

// judged is the manifest as it is read from its own text, which the schema of the kind
// and the compiler have looked at.
func (m *manifest) judged() (*manifest, error) {
	text, err := m.text()
	if err != nil {
		return nil, err
	}
	return oneManifest(text)
}

// freeName is "key-N" with the first number that no credential has.
func (m *manifest) freeName() string {
	for n := 1; ; n++ {
		if name := "key-" + strconv.Itoa(n); m.credential(name) == nil {
			return name
		}
	}
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.UTC())
	return &out
}

// RevokeKey takes a credential away: it is accepted no longer.
func (s *Service) RevokeKey(ctx context.Context, by Actor, namespace, consumer, key string) error {
	return s.change(ctx, namespace, consumer, func(tx *statedb.Tx, version int64, old *Record) error {
		if old == nil {
			return fmt.Errorf("consumer %s/%s: %w", namespace, consumer, statedb.ErrNotFound)
		}
		m, err := readManifest(old.Manifest(true))
		if err != nil {
			return err
		}
		if m.credential(key) == nil {
			return fmt.Errorf("credential %q of consumer %s: %w", key, m.name(), statedb.ErrNotFound)
		}
		m.Spec.Credentials = slices.DeleteFunc(m.Spec.Credentials, func(c v1alpha1.ConsumerCredential) bool { return c.Name == key })
		_, err = s.put(ctx, tx, by, version, old, m, "revoke-key")
		return err
	})
}
