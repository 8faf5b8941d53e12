package filter

import "errors"

// Errors that body functions return from Read, possibly wrapped.
var (
	// ErrDecompressionLimit: a compressed body grew beyond what is allowed. For
	// a request the reply is 413 with reason DecompressionLimit.
	ErrDecompressionLimit = errors.New("the body decompresses to more than is allowed")
	// ErrMalformed: a body is not what its type says. For a request the reply is
	// 400 with reason BadRequest.
	ErrMalformed = errors.New("the body is not what its type says")
	// ErrTooLarge: a message is longer than is held. For a request the reply is
	// 413 with reason BodyTooLarge.
	ErrTooLarge = errors.New("a message is longer than is allowed")
	// ErrContentCoding: a body is not what its Content-Encoding says. For a
	// request the reply is 400 with reason BadRequest.
	ErrContentCoding = errors.New("the body does not decompress")
)

// Malformed is ErrMalformed with what is wrong, for the client to read.
type Malformed struct{ Detail string }

func (e *Malformed) Error() string { return e.Detail }

// Is makes it an ErrMalformed.
func (e *Malformed) Is(err error) bool { return err == ErrMalformed }

// Refusal is the reply that a body function wants for a request whose body it
// does not let through.
type Refusal struct {
	Status int
	Reason Reason
	Detail string
	// Policy is "namespace/name" of the policy that says so, Part the part of it.
	Policy, Part string
}

func (e *Refusal) Error() string { return e.Detail }
