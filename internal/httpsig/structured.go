package httpsig

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Structure is what a structured field is as a whole (RFC 9651 §3).
type Structure uint8

const (
	// Unstructured is that nobody knows.
	Unstructured Structure = iota
	Item
	List
	Dictionary
)

// registered are the structured fields that requests may have, as IANA's registry of
// field names has their types.
var registered = map[string]Structure{
	"accept-signature": Dictionary, "available-dictionary": Item, "cdn-cache-control": Dictionary, "client-cert": Item,
	"client-cert-chain": List, "content-digest": Dictionary, "dictionary-id": Item, "priority": Dictionary, "repr-digest": Dictionary,
	"sec-gpc": Item, "signature": Dictionary, "signature-input": Dictionary, "want-content-digest": Dictionary, "want-repr-digest": Dictionary,
}

// StructureOf is the type of a registered field.
func StructureOf(name string) Structure { return registered[name] }

// What bounds fields that ;sf and ;key read: what RFC 9651 wants parsers to take.
const (
	maxFieldMembers    = 1024
	maxFieldParameters = 256
)

// member is a member of a list or dictionary, or an item, in its only form.
type member struct {
	key, value, params string
	// yes is true as an item, which dictionaries leave out.
	yes bool
}

// canonical gives a field in the only form that RFC 9651 §4.1 knows.
func canonical(field string, kind Structure) (string, bool) {
	list, ok := membersOf(field, kind)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := range list {
		m := &list[i]
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.key)
		if kind != Dictionary || !m.yes {
			if kind == Dictionary {
				b.WriteByte('=')
			}
			b.WriteString(m.value)
		}
		b.WriteString(m.params)
	}
	return b.String(), true
}

// memberOf gives the member of a dictionary: RFC 9421 §2.1.2.
func memberOf(field, key string) (string, bool) {
	list, ok := membersOf(field, Dictionary)
	if !ok {
		return "", false
	}
	i := slices.IndexFunc(list, func(m member) bool { return m.key == key })
	if i < 0 {
		return "", false
	}
	return list[i].value + list[i].params, true
}

// membersOf reads a field: RFC 9651 §4.2. Of an item it is one.
func membersOf(field string, kind Structure) (list []member, ok bool) {
	s := &scanner{s: strings.Trim(field, " "), lastCounts: true}
	switch kind {
	case Unstructured:
		return nil, false
	case Item:
		m, err := s.item()
		return []member{m}, err == nil && s.at == len(s.s)
	}
	places := map[string]int{}
	for s.at < len(s.s) {
		m, err := s.member(kind == Dictionary)
		if err != nil || len(list) == maxFieldMembers {
			return nil, false
		}
		if at, twice := places[m.key]; twice && kind == Dictionary { // §4.2.2: the last one, in the first one's place
			list[at] = m
		} else {
			places[m.key] = len(list)
			list = append(list, m)
		}
		if more, err := s.more(); err != nil {
			return nil, false
		} else if !more {
			break
		}
	}
	return list, true
}

// more reads what is between members (RFC 9651 §4.2.1), and tells whether one follows.
func (s *scanner) more() (bool, error) {
	if s.skip(" \t"); s.at == len(s.s) {
		return false, nil
	}
	if !s.take(',') {
		return false, errSyntax
	}
	if s.skip(" \t"); s.at == len(s.s) {
		return false, errSyntax
	}
	return true, nil
}

func (s *scanner) member(keyed bool) (m member, err error) {
	if keyed {
		key, err := s.name()
		if err != nil {
			return m, err
		}
		if !s.take('=') {
			params, err := s.parameters()
			return member{key, "?1", string(appendParameters(nil, params)), true}, err
		}
		defer func() { m.key = key }()
	}
	if s.peek() == '(' {
		return s.innerList()
	}
	return s.item()
}

func (s *scanner) item() (member, error) {
	v, err := s.bare()
	if err != nil {
		return member{}, err
	}
	params, err := s.parameters()
	return member{
		value: string(v.appendTo(nil)), params: string(appendParameters(nil, params)), yes: v.kind == boolean && v.number == 1,
	}, err
}

// innerList reads RFC 9651 §4.2.1.2.
func (s *scanner) innerList() (member, error) {
	s.at++
	var items []string
	for {
		s.skip(" ")
		if s.take(')') {
			break
		}
		one, err := s.item()
		if err != nil {
			return member{}, err
		}
		if c := s.peek(); c != ' ' && c != ')' || len(items) == maxFieldMembers {
			return member{}, errSyntax
		}
		items = append(items, one.value+one.params)
	}
	params, err := s.parameters()
	return member{value: "(" + strings.Join(items, " ") + ")", params: string(appendParameters(nil, params))}, err
}

// display reads RFC 9651 §4.2.10, whose text is UTF-8.
func (s *scanner) display() (item, error) {
	s.at++
	if !s.take('"') {
		return item{}, errSyntax
	}
	var b []byte
	for s.at < len(s.s) {
		c := s.s[s.at]
		s.at++
		switch {
		case c == '"':
			return displayOf(string(b))
		case c < 0x20 || c > 0x7e:
			return item{}, errSyntax
		case c == '%':
			if s.at+2 > len(s.s) || !lowerHex(s.s[s.at]) || !lowerHex(s.s[s.at+1]) {
				return item{}, errSyntax
			}
			n, _ := strconv.ParseUint(s.s[s.at:s.at+2], 16, 8) // two digits
			c = byte(n)
			s.at += 2
		}
		b = append(b, c)
	}
	return item{}, errSyntax
}

func lowerHex(c byte) bool { return digit(c) || 'a' <= c && c <= 'f' }

// displayOf is a display string, if its bytes are UTF-8.
func displayOf(text string) (item, error) {
	if !utf8.ValidString(text) {
		return item{}, errSyntax
	}
	return item{kind: display, text: text}, nil
}

// appendDisplay writes RFC 9651 §4.1.11.
func appendDisplay(b []byte, text string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, `%"`...)
	for _, c := range []byte(text) {
		if c == '%' || c == '"' || c < 0x20 || c > 0x7e {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}
