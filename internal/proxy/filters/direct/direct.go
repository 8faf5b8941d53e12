// Package direct answers with a configured response. Its values are shared by
// all exchanges; it owns no goroutines. The list in package filters imports it.
package direct

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Response is a configured response.
type Response struct {
	status      int
	headers     []httpmsg.Field
	body        []byte
	contentType string
}

// New makes a response. A body without a Content-Type is text/plain in UTF-8.
// Headers that would change the framing are ignored; compile refuses them.
func New(d *ir.DirectResponse) *Response {
	r := &Response{status: d.Status, body: d.Body}
	if len(d.Body) > 0 {
		r.contentType = "text/plain; charset=utf-8"
	}
	for _, h := range d.Headers {
		id := httpmsg.LookupName([]byte(h.Name))
		switch {
		case strings.ContainsAny(h.Value, "\r\n\x00") || h.Name == "" || strings.ContainsAny(h.Name, "\r\n\x00: "):
		case id == httpmsg.NameContentLength || id == httpmsg.NameTransferEncoding || id == httpmsg.NameConnection || id == httpmsg.NameTrailer || id == httpmsg.NameUpgrade:
		case id == httpmsg.NameContentType:
			r.contentType = h.Value
		default:
			r.headers = append(r.headers, httpmsg.Field{Name: []byte(h.Name), Value: []byte(h.Value), ID: id})
		}
	}
	return r
}

// OnRequest replies.
func (r *Response) OnRequest(x *filter.Exchange) filter.Verdict {
	for i := range r.headers {
		f := &r.headers[i]
		x.Resp.Header.AddField(f.Name, f.Value, f.ID)
	}
	return x.Answer(r.status, r.contentType, r.body)
}
