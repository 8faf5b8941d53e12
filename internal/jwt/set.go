package jwt

import (
	"errors"
	"fmt"
)

const (
	// MaxSet bounds a key set in bytes.
	MaxSet = 256 << 10
	// maxKeys is how many keys of a set are kept.
	maxKeys = 100
	// maxTries bounds the work on a token that does not say which key it is of.
	maxTries = 8
)

// Set is a set of keys. It is immutable.
type Set struct {
	keys []*Key
	// byThumbprint has each key; a set may have one twice, under two names.
	byThumbprint map[Thumbprint][]*Key
}

// Skipped is a key of a set that is not used.
type Skipped struct {
	// Place among the keys, from 0, and its "kid".
	Place int
	ID    string
	// Why, for people; Private: whoever has read the set could sign.
	Why     error
	Private bool
}

func (s Skipped) String() string {
	if s.ID != "" {
		return fmt.Sprintf("key %d (%.40q): %v", s.Place+1, s.ID, s.Why)
	}
	return fmt.Sprintf("key %d: %v", s.Place+1, s.Why)
}

// ParseSet reads a JWK Set (RFC 7517 §5), or one JWK. Keys that cannot be used are
// left out and named. A set without any that can is an error.
func ParseSet(text []byte) (*Set, []Skipped, error) {
	if len(text) > MaxSet {
		return nil, nil, fmt.Errorf("the key set has more than %d bytes", MaxSet)
	}
	m, err := object(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the key set cannot be read: %w", err)
	}
	list, ok := m["keys"].([]any)
	if _, one := m["kty"]; one && m["keys"] == nil {
		list, ok = []any{m}, true
	}
	switch {
	case !ok:
		return nil, nil, errors.New("the key set has no list of \"keys\"")
	case len(list) > maxKeys:
		return nil, nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	s := &Set{byThumbprint: map[Thumbprint][]*Key{}}
	var skipped []Skipped
	for i, v := range list {
		one, _ := v.(map[string]any)
		k, err := readKey(one)
		if err != nil {
			id, _ := one["kid"].(string)
			skipped = append(skipped, Skipped{i, id, err, errors.Is(err, errPrivate)})
			continue
		}
		s.keys = append(s.keys, k)
		s.byThumbprint[k.thumbprint] = append(s.byThumbprint[k.thumbprint], k)
	}
	if len(s.keys) == 0 {
		err = errors.New("the key set has no key that tokens could be verified with")
		if len(skipped) > 0 {
			err = fmt.Errorf("%w: %s", err, skipped[0])
		}
		return nil, skipped, err
	}
	return s, skipped, nil
}

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Keys are all of them. Nobody may change the list.
func (s *Set) Keys() []*Key { return s.keys }

// Errors of Verify.
var (
	// ErrUnknownKey: there is no such key, and a newer set may have it.
	ErrUnknownKey = errors.New("there is no key for it")
	// ErrSignature: the signature is not the key's.
	ErrSignature = errors.New("its signature is not good")
	// ErrAlgorithm: the algorithm is not one that is allowed.
	ErrAlgorithm = errors.New("its algorithm is not allowed")
)

// Verify finds the key that has signed a token, by one of the allowed algorithms.
func (s *Set) Verify(t *Token, allowed Algorithms) (*Key, error) {
	if !allowed.Has(t.Algorithm) {
		return nil, ErrAlgorithm
	}
	tries, named := 0, false
	for _, k := range s.keys {
		named = named || t.HasKeyID && k.id == t.KeyID
		if !k.fits(t.Algorithm, t.KeyID, t.HasKeyID) {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		if k.verify(t) {
			return k, nil
		}
	}
	if named {
		return nil, ErrSignature
	}
	return nil, ErrUnknownKey
}

// Signed is what is remembered of a verified token: by which key, and how it named
// that.
type Signed struct {
	Key       Thumbprint
	Algorithm Algorithm
	KeyID     string
	HasKeyID  bool
}

// By is how a token that k has verified was signed.
func (t *Token) By(k *Key) Signed { return Signed{k.thumbprint, t.Algorithm, t.KeyID, t.HasKeyID} }

// Trusts tells whether Verify would find the same key again.
func (s *Set) Trusts(v *Signed, allowed Algorithms) bool {
	if !allowed.Has(v.Algorithm) {
		return false
	}
	for _, k := range s.byThumbprint[v.Key] {
		if k.fits(v.Algorithm, v.KeyID, v.HasKeyID) {
			return true
		}
	}
	return false
}

// Has tells whether the set has the very key, under the same name.
func (s *Set) Has(k *Key) bool {
	for _, mine := range s.byThumbprint[k.thumbprint] {
		if mine.id == k.id && mine.algorithms == k.algorithms {
			return true
		}
	}
	return false
}
