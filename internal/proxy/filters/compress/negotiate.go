package compress

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// coding is a content coding that a response can be given.
type coding uint8

const (
	none coding = iota
	zstdCoding
	brCoding
	gzipCoding
	codings
)

// codingNames are the names in Content-Encoding.
var codingNames = [codings][]byte{zstdCoding: []byte("zstd"), brCoding: []byte("br"), gzipCoding: []byte("gzip")}

func lookupCoding(name []byte) coding {
	for c := none + 1; c < codings; c++ {
		if httpmsg.EqualFold(name, codingNames[c]) {
			return c
		}
	}
	if httpmsg.EqualFold(name, "x-gzip") { // RFC 9110 §8.4.1.3
		return gzipCoding
	}
	return none
}

// unset is the weight of what Accept-Encoding does not name.
const unset = -1

// negotiate chooses a coding by the Accept-Encoding fields (RFC 9110 §12.5.3):
// the one of the highest weight, and the first of offered among equals. none
// means to send the response as it is: because nothing offered is accepted, or
// because the client likes that better. identityRefused says that it would
// rather have anything else.
func negotiate(h *httpmsg.Header, offered []coding) (best coding, identityRefused bool) {
	weights := [codings]int{}
	for i := range weights {
		weights[i] = unset
	}
	identity, star := unset, unset
	for i := 0; h.Has(httpmsg.NameAcceptEncoding) && i < h.Len(); i++ {
		f := h.At(i)
		if f.ID != httpmsg.NameAcceptEncoding {
			continue
		}
		for item, rest := httpmsg.NextItem(f.Value); item != nil; item, rest = httpmsg.NextItem(rest) {
			name, q, ok := parseItem(item)
			if !ok {
				continue
			}
			switch c := lookupCoding(name); {
			case c != none:
				weights[c] = max(weights[c], q)
			case httpmsg.EqualFold(name, "identity"):
				identity = max(identity, q)
			case string(name) == "*":
				star = max(star, q)
			}
		}
	}
	bestWeight := 0
	for _, c := range offered {
		w := weights[c]
		if w == unset {
			w = star
		}
		if w > bestWeight {
			best, bestWeight = c, w
		}
	}
	identityRefused = identity == 0 || identity == unset && star == 0
	if identity > bestWeight {
		return none, false
	}
	return best, identityRefused
}

// parseItem splits "gzip;q=0.5" into the name and the weight in thousandths.
func parseItem(item []byte) (name []byte, q int, ok bool) {
	name, parameters, found := bytes.Cut(item, []byte(";"))
	name = httpmsg.TrimOWS(name)
	if !found {
		return name, 1000, len(name) > 0
	}
	key, value, found := bytes.Cut(httpmsg.TrimOWS(parameters), []byte("="))
	if !found || !httpmsg.EqualFold(httpmsg.TrimOWS(key), "q") {
		return nil, 0, false
	}
	q, ok = parseWeight(httpmsg.TrimOWS(value))
	return name, q, ok && len(name) > 0
}

// parseWeight parses a qvalue (RFC 9110 §12.4.2).
func parseWeight(v []byte) (int, bool) {
	if len(v) == 0 || len(v) > 5 || v[0] != '0' && v[0] != '1' || len(v) > 1 && v[1] != '.' {
		return 0, false
	}
	q, unit := int(v[0]-'0')*1000, 100
	for i := 2; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return 0, false
		}
		q += int(v[i]-'0') * unit
		unit /= 10
	}
	return q, q <= 1000
}
