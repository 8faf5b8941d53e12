package accessdb

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
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 366 * 24 * time.Hour
	maxPrefix      = 64
	// everyKey is no key's name, and stands for all API keys of a consumer.
	everyKey = ""
	// maxCredentials is what the schema of the kind allows.
	maxCredentials = 16
)

func checkKey(q *access.NewKey, now time.Time) error {
	switch {
	case q.Name != "" && (!validName(q.Name) || len(q.Name) > maxTokenName):
		return access.Invalid("name", "must have 1 to %d letters, digits, hyphens, underscores and dots", maxTokenName)
	case len(q.Prefix) > maxPrefix || strings.ContainsFunc(q.Prefix, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`";,\`, r) }):
		return access.Invalid("prefix", "has more than %d characters, or one that cannot be in a header; letters, digits, - and _ are fine", maxPrefix)
	case !q.NotAfter.IsZero() && !q.NotAfter.After(now):
		return access.Invalid("notAfter", "is in the past")
	case !q.NotAfter.IsZero() && !q.NotBefore.Before(q.NotAfter):
		return access.Invalid("notAfter", "is not after notBefore: the key would never be accepted")
	case q.Overlap != nil && (*q.Overlap < 0 || *q.Overlap > int64(maxOverlap/time.Second)):
		return access.Invalid("overlapSeconds", "must be 0 to %d", int64(maxOverlap/time.Second))
	}
	return nil
}

// CreateKey makes a key for a consumer.
func (s *Service) CreateKey(ctx context.Context, by access.Actor, namespace, consumer string, q access.NewKey) (out *access.CreatedKey, err error) {
	if q.Overlap != nil {
		return nil, access.Invalid("overlapSeconds", "is for a rotation")
	}
	return s.addKey(ctx, by, namespace, consumer, q, "create-key", nil)
}

// RotateKey makes a key that takes over from another one.
func (s *Service) RotateKey(ctx context.Context, by access.Actor, namespace, consumer, key string, q access.NewKey) (*access.CreatedKey, error) {
	if q.Client != nil {
		return nil, access.Invalid("client", "is for a new secret: a rotation keeps client ID and scopes, which an update of the consumer changes")
	}
	if key == everyKey {
		return nil, access.Invalid("", "name the key that is to be taken over from")
	}
	return s.addKey(ctx, by, namespace, consumer, q, "rotate-key", &key)
}

// RotateKeys makes an API key that takes over from all that a consumer has.
func (s *Service) RotateKeys(ctx context.Context, by access.Actor, namespace, consumer string, q access.NewKey) (*access.CreatedKey, error) {
	if q.Client != nil {
		return nil, access.Invalid("client", "is for a new secret: API keys are rotated together")
	}
	every := everyKey
	return s.addKey(ctx, by, namespace, consumer, q, "rotate-keys", &every)
}

func (s *Service) addKey(ctx context.Context, by access.Actor, namespace, consumer string, q access.NewKey, action string, replaces *string) (out *access.CreatedKey, err error) {
	now := s.time()
	if err := checkKey(&q, now); err != nil {
		return nil, err
	}
	err = s.change(ctx, namespace, consumer, func(tx *statedb.Tx, version int64, old *record) error {
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
		out = &access.CreatedKey{Namespace: namespace, Consumer: consumer, Name: q.Name, Key: q.Prefix + randomText(), NotBefore: q.NotBefore.UTC(), NotAfter: q.NotAfter.UTC()}
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
			return fmt.Errorf("credential %q of consumer %s: %w", out.Name, m.name(), access.ErrExists)
		}
		if len(m.Spec.Credentials) >= maxCredentials {
			return access.Invalid("credentials", "consumer %s has %d credentials, and no more may be made; revoke some", m.name(), len(m.Spec.Credentials))
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
func (m *manifest) replace(name string, q *access.NewKey, out *access.CreatedKey, now time.Time) (*v1alpha1.ClientSecretCredential, error) {
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
func clientOf(q *access.NewClient) *v1alpha1.ClientSecretCredential {
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
func (s *Service) RevokeKey(ctx context.Context, by access.Actor, namespace, consumer, key string) error {
	return s.change(ctx, namespace, consumer, func(tx *statedb.Tx, version int64, old *record) error {
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
