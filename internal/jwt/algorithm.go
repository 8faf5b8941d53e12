package jwt

import (
	"crypto"
	"fmt"
	"slices"
	"strings"

	_ "crypto/sha256" // the hashes of RFC 7518 §3.1
	_ "crypto/sha512"
)

// Algorithm is a signature algorithm of RFC 7518 §3.1 or RFC 8037 §3.1.
type Algorithm uint8

const (
	unknown Algorithm = iota
	RS256
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	EdDSA
	algorithms
)

var names = [algorithms]string{"", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// family is what kind of key an algorithm has.
type family uint8

const (
	pkcs1 family = iota + 1
	pss
	ecdsaFamily
	edwards
)

var details = [algorithms]struct {
	family family
	hash   crypto.Hash
}{
	RS256: {pkcs1, crypto.SHA256}, RS384: {pkcs1, crypto.SHA384}, RS512: {pkcs1, crypto.SHA512},
	PS256: {pss, crypto.SHA256}, PS384: {pss, crypto.SHA384}, PS512: {pss, crypto.SHA512},
	ES256: {ecdsaFamily, crypto.SHA256}, ES384: {ecdsaFamily, crypto.SHA384}, ES512: {ecdsaFamily, crypto.SHA512},
	EdDSA: {family: edwards},
}

// String is the algorithm's name in "alg".
func (a Algorithm) String() string {
	if a < algorithms {
		return names[a]
	}
	return ""
}

// Ed25519 is the name that RFC 9864 gives to EdDSA with that curve, which is the
// only one here.
const ed25519Name = "Ed25519"

// ParseAlgorithm finds the algorithm of a name, in its exact letters. There is no
// "none" among them, and none with a shared secret.
func ParseAlgorithm(name string) (Algorithm, error) {
	if name == ed25519Name {
		return EdDSA, nil
	}
	if i := slices.Index(names[1:], name); i >= 0 {
		return Algorithm(i + 1), nil
	}
	return unknown, fmt.Errorf("%.40q is not one of %s", name, strings.Join(names[1:], ", "))
}

// Algorithms is a set of them.
type Algorithms uint16

// All is every algorithm there is.
const All = Algorithms(1<<algorithms - 2)

// Of makes a set.
func Of(list ...Algorithm) (s Algorithms) {
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

// Has tells whether a is in the set.
func (s Algorithms) Has(a Algorithm) bool { return a != unknown && s&(1<<a) != 0 }
