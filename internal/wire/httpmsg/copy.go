package httpmsg

// CopyFrom makes r an independent copy of src: nothing of it refers to src's
// buffers. It allocates, and is for the few exchanges that are sent more than
// once at the same time.
func (r *Request) CopyFrom(src *Request) {
	r.Reset()
	arena := r.Arena
	header, trailer := r.Header, r.Trailer
	*r = *src
	r.Arena, r.Header, r.Trailer = arena, header, trailer
	for _, b := range []*[]byte{&r.Method, &r.Target, &r.Host, &r.Path, &r.Query, &r.Upgrade} {
		if *b != nil {
			*b = r.Arena.Copy(*b)
		}
	}
	r.Header.copyFrom(&src.Header, &r.Arena)
	r.Trailer.copyFrom(&src.Trailer, &r.Arena)
}

// Own copies what r refers to into arena, so that the buffer that it was parsed
// from can be used again.
func (r *Response) Own(arena *Arena) {
	for _, b := range []*[]byte{&r.Reason, &r.Upgrade} {
		if *b != nil {
			*b = arena.Copy(*b)
		}
	}
	r.Header.Own(arena)
}

// Own copies the names and values into arena, all into one piece of it.
func (h *Header) Own(arena *Arena) {
	n := 0
	for i := range h.fields {
		n += len(h.fields[i].Name) + len(h.fields[i].Value)
	}
	b := arena.Alloc(n)[:0]
	for i := range h.fields {
		f := &h.fields[i]
		b, f.Name = keep(b, f.Name)
		b, f.Value = keep(b, f.Value)
	}
}

// keep appends v to b, which has room for it, and returns the copy, too.
func keep(b, v []byte) (all, kept []byte) {
	start := len(b)
	b = append(b, v...)
	return b, b[start:len(b):len(b)]
}

func (h *Header) copyFrom(src *Header, arena *Arena) {
	h.Reset()
	for i := range src.Len() {
		f := src.At(i)
		h.AddField(arena.Copy(f.Name), arena.Copy(f.Value), f.ID)
		h.At(i).Sensitive = f.Sensitive
	}
}
