package trace

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// maxMembers is §3.3.1.1: "There can be a maximum of 32 list-members in a list."
const maxMembers = 32

// validState tells whether all tracestate fields of h together are a list that
// §3.3 allows: at most 32 members, well-formed, with no key twice.
func validState(h *httpmsg.Header) bool {
	var keys [maxMembers][]byte
	n := 0
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameTracestate {
			continue
		}
		// Empty members are allowed; NextItem skips them.
		for member, rest := httpmsg.NextItem(f.Value); member != nil; member, rest = httpmsg.NextItem(rest) {
			eq := bytes.IndexByte(member, '=')
			if eq < 0 || n == maxMembers || !validKey(member[:eq]) || !validValue(member[eq+1:]) {
				return false
			}
			for _, k := range keys[:n] {
				if bytes.Equal(k, member[:eq]) {
					return false
				}
			}
			keys[n] = member[:eq]
			n++
		}
	}
	return true
}

// validKey is §3.3.1.3.1: a simple key of up to 256 characters, or
// tenant@system with up to 241 and 14.
func validKey(k []byte) bool {
	at := bytes.IndexByte(k, '@')
	if at < 0 {
		return len(k) >= 1 && len(k) <= 256 && isLower(k[0]) && keyChars(k)
	}
	tenant, system := k[:at], k[at+1:]
	return len(tenant) >= 1 && len(tenant) <= 241 && (isLower(tenant[0]) || isDigit(tenant[0])) && keyChars(tenant) &&
		len(system) >= 1 && len(system) <= 14 && isLower(system[0]) && keyChars(system)
}

func keyChars(k []byte) bool {
	for _, c := range k {
		if !isLower(c) && !isDigit(c) && c != '_' && c != '-' && c != '*' && c != '/' {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// validValue is §3.3.1.3.2: 1 to 256 printable ASCII characters without comma
// and equals sign, the last of which is no space.
func validValue(v []byte) bool {
	if len(v) == 0 || len(v) > 256 || v[len(v)-1] == ' ' {
		return false
	}
	for _, c := range v {
		if c < 0x20 || c > 0x7e || c == ',' || c == '=' {
			return false
		}
	}
	return true
}
