package syntax

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	hostInvalid = iota
	hostPlain
	hostUpper
	hostDot
	hostColon
)

// hostClass allows the characters of DNS names and '_', which container
// platforms use. The other characters that RFC 3986 §3.2.2 allows ('%', ',',
// '@' of userinfo …) have no use in a host but to make parsers disagree.
var hostClass = func() (t [256]byte) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '~':
			t[c] = hostPlain
		case 'A' <= c && c <= 'Z':
			t[c] = hostUpper
		}
	}
	t['.'], t[':'] = hostDot, hostColon
	return t
}()

const maxHostLen = 255

// ParseAuthority checks host [ ":" port ] and returns it in lower case, without
// a dot at the end of the host and without an empty port.
func ParseAuthority(b []byte, a *httpmsg.Arena) (authority []byte, port, ok bool) {
	if len(b) > 0 && b[0] == '[' {
		return parseIPLiteral(b, a)
	}
	if rest := portAtEnd(b); plainHost(b[:len(b)-len(rest)]) {
		return b, len(rest) > 0, true
	}
	upper := false
	i := 0
	last := byte(hostDot) // an empty label is one dot after another
	for ; i < len(b); i++ {
		k := hostClass[b[i]]
		if k == hostColon {
			break
		}
		if k == hostInvalid || k == hostDot && last == hostDot {
			return nil, false, false
		}
		upper = upper || k == hostUpper
		last = k
	}
	if i == 0 || i > maxHostLen {
		return nil, false, false
	}
	rest, ok := parsePort(b[i:])
	if !ok {
		return nil, false, false
	}
	host := b[:i]
	switch {
	case last == hostDot && i == 1:
		return nil, false, false
	case last == hostDot && len(rest) > 0:
		authority = a.Concat(host[:i-1], rest)
	case last == hostDot:
		authority = host[:i-1]
	default:
		authority = b[:i+len(rest)]
	}
	if upper {
		authority = a.Lower(authority)
	}
	return authority, len(rest) > 0, true
}

// portAtEnd returns what a valid port with its colon b ends with, or nothing.
func portAtEnd(b []byte) []byte {
	i := len(b)
	for i > 0 && '0' <= b[i-1] && b[i-1] <= '9' {
		i--
	}
	if i == len(b) || i == 0 || b[i-1] != ':' {
		return nil
	}
	rest, _ := parsePort(b[i-1:])
	return rest
}

// plainHost tells whether a host is one of the usual: at least eight lower-case
// letters, digits, '-' and single dots between them.
func plainHost(b []byte) bool {
	if len(b) < 8 || len(b) > maxHostLen || b[0] == '.' || b[len(b)-1] == '.' {
		return false
	}
	for i := 0; ; {
		x := load(b, i)
		letters := atLeast(x, 'a') &^ atLeast(x, 'z'+1)
		others := atLeast(x, '-') &^ atLeast(x, '9'+1) &^ equal(x, '/')
		dots := equal(x, '.') & topBits
		if (^(letters|others)|x)&topBits != 0 || dots&(dots<<8) != 0 {
			return false
		}
		if i == len(b)-8 {
			return true
		}
		i = min(i+7, len(b)-8) // overlapping, for pairs of dots
	}
}

// parsePort checks what follows a host: nothing, or ':' and a port number,
// which may be empty (RFC 3986 §3.2.3) and is then left away.
func parsePort(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, true
	}
	if b[0] != ':' || len(b) > len(":65535") {
		return nil, false
	}
	n := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return nil, false
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return nil, false
	}
	if len(b) == 1 {
		return nil, true
	}
	return b, true
}

func parseIPLiteral(b []byte, a *httpmsg.Arena) (authority []byte, port, ok bool) {
	i := bytes.IndexByte(b, ']')
	if i < 0 || !isIPv6(b[1:i]) {
		return nil, false, false
	}
	rest, ok := parsePort(b[i+1:])
	if !ok {
		return nil, false, false
	}
	return a.Lower(b[:i+1+len(rest)]), len(rest) > 0, true
}

// isIPv6 checks IPv6address (RFC 3986 §3.2.2), which has no zone.
func isIPv6(b []byte) bool {
	groups, gap := 0, false
	if bytes.HasPrefix(b, []byte("::")) {
		gap = true
		b = b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && isHex(b[n]) {
			n++
		}
		if n < len(b) && b[n] == '.' {
			groups += 2
			return isIPv4(b) && whole(groups, gap)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		b = b[n:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap = true
			b = b[1:]
		}
	}
	return whole(groups, gap)
}

// whole tells whether groups are as many as an address has; "::" stands for one
// at least.
func whole(groups int, gap bool) bool { return groups == 8 && !gap || groups < 8 && gap }

func isIPv4(b []byte) bool {
	for part := range 4 {
		n, v := 0, 0
		for n < len(b) && '0' <= b[n] && b[n] <= '9' && n < 4 {
			v = v*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || n > 3 || v > 255 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
		if part == 3 {
			break
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return len(b) == 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
