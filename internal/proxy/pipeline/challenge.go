package pipeline

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Challenges knows what certificate authorities look for.
type Challenges interface {
	// KeyAuthorization returns the content of the file that proves to an
	// authority that a name leads here (HTTP-01). It may block.
	KeyAuthorization(token string) (string, bool)
}

// challengePath is where an authority looks, RFC 8555 §8.3.
var challengePath = []byte("/.well-known/acme-challenge/")

// challenge answers a certificate authority before any route is looked at: a
// route that redirects everything to HTTPS, or that sends it to a backend, must
// not be in the way of a certificate. What nobody here has asked for is left to
// the routes, which may lead to another program that has.
func (x *Exchange) challenge() bool {
	if x.p.Challenges == nil {
		return true
	}
	token, ok := bytes.CutPrefix(x.Req.Path, challengePath)
	if !ok || x.Req.MethodID != httpmsg.MethodGet && x.Req.MethodID != httpmsg.MethodHead {
		return true
	}
	x.Down.Task().Detach()
	text, ok := x.p.Challenges.KeyAuthorization(string(token))
	if !ok {
		return true
	}
	x.Answer(200, "application/octet-stream", []byte(text))
	return false
}
