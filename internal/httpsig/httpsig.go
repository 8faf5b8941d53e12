// Package httpsig reads and verifies HTTP Message Signatures (RFC 9421) of requests,
// and Content-Digest (RFC 9530). It knows neither whose keys are whose nor what time
// it is; it owns no goroutines, imports the standard library only, and may be
// imported by compile and the data plane.
package httpsig

import "errors"

// What bounds the work that a client can ask for.
const (
	// MaxField is how long Signature-Input, Signature and Content-Digest may be, each
	// with all its lines, in bytes.
	MaxField = 8192
	// MaxSignatures is how many signatures of a request are looked at.
	MaxSignatures = 8

	maxMembers    = 32
	maxComponents = 64
	maxParameters = 16

	// Room for what signatures usually have.
	usualComponents = 6
	usualParameters = 5
)

// Errors of the form of signatures. None of them tells anything about keys.
var (
	errSyntax    = errors.New("is not a structured field as RFC 9421 wants it")
	errTwice     = errors.New("has a name twice")
	errTooMany   = errors.New("has too many members, components or parameters")
	errTooLong   = errors.New("is longer than 8192 bytes")
	errNoList    = errors.New("has a member that is no list of components")
	errComponent = errors.New("has a component that is no string, or not in lower case")

	// ErrUnsupported: a component, or a parameter of one, that is not supported.
	ErrUnsupported = errors.New("a component of the signature is not supported: ;tr, ;req, ;bs with ;sf or ;key, and derived components other than those of requests")
	// ErrAbsent: the signature covers what the request does not have, or has twice.
	ErrAbsent = errors.New("the signature covers a component that the request does not have, or a query parameter that it has twice")
	// ErrStructure: what is covered by ;sf or ;key cannot be read, or has no such member.
	ErrStructure = errors.New("the signature covers by ;sf or ;key what is not a structured field of its type, or does not have the member")
	// ErrUnknownStructure: nobody knows of what type a field is.
	ErrUnknownStructure = errors.New("the signature covers by ;sf a field whose type is not known here; sign it without ;sf")
)
