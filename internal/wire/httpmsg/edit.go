package httpmsg

// Reset makes the request ready for the next one of its connection. Scheme
// stays: it belongs to the connection, whose owner sets it.
func (r *Request) Reset() {
	r.Method, r.MethodID = nil, MethodOther
	r.Target, r.Host, r.Path, r.Query, r.HasQuery = nil, nil, nil, nil, false
	r.Version = 0
	r.Header.Reset()
	r.Body, r.Length = BodyNone, 0
	r.KeepAlive, r.ExpectContinue = false, false
	r.Upgrade = nil
	r.Trailer.Reset()
	r.Arena.Reset()
}

// Reset makes the response ready for the next one.
func (r *Response) Reset() {
	r.Status, r.Reason, r.Version = 0, nil, 0
	r.Header.Reset()
	r.Body, r.Length = BodyNone, 0
	r.KeepAlive = false
	r.Upgrade = nil
	r.Trailer.Reset()
}

// SetPath changes the path. It is not copied, and must be normalised and free of
// '?', spaces and controls; a '/' is put in front if there is none.
func (r *Request) SetPath(path []byte) {
	if len(path) == 0 || path[0] != '/' {
		p := r.Arena.Alloc(len(path) + 1)
		p[0] = '/'
		copy(p[1:], path)
		path = p
	}
	r.Path = path
}

// SetQuery changes the query, given without '?'. It is not copied.
func (r *Request) SetQuery(query []byte) {
	r.Query, r.HasQuery = query, true
}

// SetHost changes the authority that is sent upstream. It is not copied unless
// it has upper-case letters.
func (r *Request) SetHost(host []byte) {
	r.Host = r.Arena.Lower(host)
}

// Lower returns b in lower case: b itself if it has no upper-case ASCII letter.
func (a *Arena) Lower(b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			p := a.Copy(b)
			for ; i < len(p); i++ {
				p[i] = lower(p[i])
			}
			return p
		}
	}
	return b
}

// AppendPathAndQuery appends the path with its query, as an origin-form target.
func (r *Request) AppendPathAndQuery(dst []byte) []byte {
	dst = append(dst, r.Path...)
	if r.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, r.Query...)
	}
	return dst
}
