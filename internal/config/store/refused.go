package store

// Refused lists the objects that a set lacks because they have errors.
func Refused(set *Set, problems []Problem) map[Key]bool {
	var out map[Key]bool
	for _, p := range problems {
		if p.Severity != Error || p.Object == (Key{}) {
			continue
		}
		if o := set.Get(p.Object); o != nil && !o.Broken {
			continue
		}
		if out == nil {
			out = map[Key]bool{}
		}
		out[p.Object] = true
	}
	return out
}
