package httpsig

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"slices"
)

// Errors of Content-Digest.
var (
	errDigestUnknown = errors.New("has neither sha-256 nor sha-512")
	errDigestLength  = errors.New("has a digest of the wrong length")
)

// Digest compares a body with what Content-Digest says of it (RFC 9530 §2).
type Digest struct {
	hash hash.Hash
	want []byte
}

// ParseDigest reads the field, its lines joined by commas. sha-512 counts if it is
// there, else sha-256; others are passed over.
func ParseDigest(field string) (*Digest, error) {
	values, err := parseSignatures(field) // the same form: byte sequences by name
	if err != nil {
		return nil, err
	}
	d := &Digest{}
	if v := named(values, "sha-512"); v != nil {
		d.hash, d.want = sha512.New(), v
	} else if v := named(values, "sha-256"); v != nil {
		d.hash, d.want = sha256.New(), v
	} else {
		return nil, errDigestUnknown
	}
	if len(d.want) != d.hash.Size() {
		return nil, errDigestLength
	}
	return d, nil
}

// Write takes a piece of the body.
func (d *Digest) Write(p []byte) { d.hash.Write(p) }

// Matches tells whether what was written is the body.
func (d *Digest) Matches() bool { return slices.Equal(d.hash.Sum(nil), d.want) }
