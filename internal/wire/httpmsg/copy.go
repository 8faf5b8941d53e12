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

// Own copies the names and values into arena.
func (h *Header) Own(arena *Arena) {
	for i := range h.Len() {
		f := h.At(i)
		f.Name, f.Value = arena.Copy(f.Name), arena.Copy(f.Value)
	}
}

func (h *Header) copyFrom(src *Header, arena *Arena) {
	h.Reset()
	for i := range src.Len() {
		f := src.At(i)
		h.AddField(arena.Copy(f.Name), arena.Copy(f.Value), f.ID)
		h.At(i).Sensitive = f.Sensitive
	}
}
