package h1

// Limits bound a head. A zero field stands for its default, and so does a nil *Limits.
type Limits struct {
	// HeaderBytes is the size of a head with its start line and blank line;
	// default 65536. More is refused with 431, or with 414 if not even the
	// request line fits.
	HeaderBytes int
	// HeaderCount is the number of fields; default 100. More is refused with 431.
	HeaderCount int
	// TargetBytes is the length of the request target; default HeaderBytes.
	// More is refused with 414.
	TargetBytes int
	// MergeSlashes makes one '/' of several in a path.
	MergeSlashes bool
}

const (
	defaultHeaderBytes = 64 << 10
	defaultHeaderCount = 100
)

func (l *Limits) resolve() Limits {
	var r Limits
	if l != nil {
		r = *l
	}
	if r.HeaderBytes <= 0 {
		r.HeaderBytes = defaultHeaderBytes
	}
	if r.HeaderCount <= 0 {
		r.HeaderCount = defaultHeaderCount
	}
	if r.TargetBytes <= 0 {
		r.TargetBytes = r.HeaderBytes
	}
	return r
}
