package authentication

import (
	"io"
	"strconv"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// messageOf is the request as its client has sent it: the target is not yet
// normalised in it.
func messageOf(x *filter.Exchange) *httpsig.Message {
	r := &x.Req
	target := string(r.Target)
	if target == "" {
		target = string(r.AppendPathAndQuery(nil))
	}
	return &httpsig.Message{
		Method: string(r.Method), Scheme: r.Scheme, Authority: string(r.Host), Target: target,
		Field: func(name string, yield func([]byte)) { eachLine(r, name, yield) },
	}
}

// eachLine also gives the fields that are kept apart from the others.
func eachLine(r *httpmsg.Request, name string, yield func([]byte)) {
	if name == "host" {
		if len(r.Host) > 0 {
			yield(r.Host)
		}
		return
	}
	found := false
	for i := range r.Header.Len() {
		if f := r.Header.At(i); httpmsg.EqualFold(f.Name, name) {
			found = true
			yield(f.Value)
		}
	}
	if !found && name == "content-length" && r.Body == httpmsg.BodyLength {
		yield(strconv.AppendInt(nil, r.Length, 10))
	}
}

// signedBody tells whether there is a body that a signature can cover: what follows
// CONNECT is none. The header Upgrade, which anybody may add, says nothing of it.
func signedBody(r *httpmsg.Request) bool {
	return r.MethodID != httpmsg.MethodConnect && (r.Body == httpmsg.BodyChunked || r.Body == httpmsg.BodyLength && r.Length > 0)
}

const notTheBody = "the body is not what Content-Digest says"

// watch has the body compared with its digest as it passes.
func (h *hmac) watch(x *filter.Exchange, d *httpsig.Digest) {
	left := int64(-1)
	if x.Req.Body == httpmsg.BodyLength {
		left = x.Req.Length
	}
	x.WrapRequestBody(func(source io.Reader) io.Reader {
		return &digestReader{method: h, source: source, digest: d, left: left}
	})
}

// digestReader passes a body on. Of the last piece it passes nothing if the body is
// not what its digest says, so that nobody takes it for whole.
type digestReader struct {
	method *hmac
	source io.Reader
	digest *httpsig.Digest
	// left is how much is to come; it is below zero if nobody knows.
	left int64
	err  error
}

func (r *digestReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.source.Read(p)
	r.digest.Write(p[:n])
	last := err == io.EOF
	if r.left > 0 && n > 0 {
		r.left -= int64(n)
		last = last || r.left <= 0
	}
	if last && !r.digest.Matches() {
		r.method.decisions.Decided(int(filter.Denied))
		r.err = &filter.Refusal{Status: 400, Reason: filter.BadRequest, Detail: notTheBody, Policy: r.method.policy.Policy, Part: "contentDigest"}
		return 0, r.err
	}
	r.err = err
	return n, err
}
