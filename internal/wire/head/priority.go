package head

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The urgencies of RFC 9218 are 0, the most urgent, to 7.
const (
	Urgencies      = 8
	DefaultUrgency = 3
)

// ParsePriority reads a Priority field (RFC 9218 §4): a dictionary of which u
// and i are understood. What cannot be read counts as not there.
func ParsePriority(v []byte) (urgency uint8, incremental bool) {
	urgency = DefaultUrgency
	for item, rest := httpmsg.NextItem(v); item != nil; item, rest = httpmsg.NextItem(rest) {
		item, _, _ = bytes.Cut(item, []byte(";"))
		key, value, _ := bytes.Cut(httpmsg.TrimOWS(item), []byte("="))
		switch string(key) {
		case "u":
			if len(value) == 1 && '0' <= value[0] && value[0] < '0'+Urgencies {
				urgency = value[0] - '0'
			}
		case "i":
			switch string(value) {
			case "", "?1":
				incremental = true
			case "?0":
				incremental = false
			}
		}
	}
	return urgency, incremental
}
