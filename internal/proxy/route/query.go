package route

import "github.com/gridway/gridway/internal/wire/httpmsg"

// hold compares the first parameter of that name, which is what the API
// recommends for repeated ones.
func (q *queryCondition) hold(r *httpmsg.Request) bool {
	raw, ok := queryValue(r.Query, q.name)
	if !ok {
		return false
	}
	if q.pattern == nil {
		return httpmsg.DecodesTo(raw, q.value)
	}
	if !httpmsg.Escaped(raw) {
		return q.pattern.match(raw)
	}
	return q.pattern.match(httpmsg.AppendDecoded(r.Arena.Alloc(len(raw))[:0], raw))
}

// queryValue returns the undecoded value of the first parameter with the
// (decoded) name.
func queryValue(query []byte, name string) ([]byte, bool) {
	for pair, rest := httpmsg.NextPair(query); pair != nil; pair, rest = httpmsg.NextPair(rest) {
		if value, ok := httpmsg.Parameter(pair, name); ok {
			return value, true
		}
	}
	return nil, false
}
