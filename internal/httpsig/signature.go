package httpsig

import (
	"slices"
	"strings"
)

// Signature is one of the signatures of a request, as its fields say.
type Signature struct {
	Label string
	// KeyID, Alg, Nonce and Tag are empty where they are not there.
	KeyID, Alg, Nonce, Tag string
	// Created and Expires are in Unix seconds; they are not there if the flag is not set.
	Created, Expires       int64
	HasCreated, HasExpires bool
	// Bytes are the signature itself.
	Bytes []byte

	components []component
	// params is the value of @signature-params.
	params string
}

// component is RFC 9421 §2: a name and its parameters.
type component struct {
	name string
	// id is name and parameters as the signature base has them.
	id string
	// param is the name that @query-param has.
	param string
	// wrapped is the parameter bs, strict sf, member key.
	wrapped, strict, keyed bool
	member                 string
	unsupported            bool
}

// Parse reads the fields Signature-Input and Signature, each with its lines joined by
// commas. Members that are in one of them only are left out. Field is which of the two
// is wrong.
func Parse(input, signature string) (list []Signature, field string, err error) {
	values, err := parseSignatures(signature)
	if err != nil {
		return nil, "Signature", err
	}
	if list, err = parseInputs(input); err != nil {
		return nil, "Signature-Input", err
	}
	for i := range list {
		list[i].Bytes = named(values, list[i].Label)
	}
	return slices.DeleteFunc(list, func(s Signature) bool { return s.Bytes == nil }), "", nil
}

// dictionary reads RFC 9651 §4.2.2; member reads what follows a key.
func dictionary(field string, member func(s *scanner, key string, has bool) error) error {
	if len(field) > MaxField {
		return errTooLong
	}
	s := &scanner{s: strings.Trim(field, " ")}
	var few [4]string // on the stack
	keys := few[:0]
	for s.at < len(s.s) {
		key, err := s.name()
		if err != nil {
			return err
		}
		// RFC 9421 §4.1: labels are unique.
		if slices.Contains(keys, key) {
			return errTwice
		}
		if keys = append(keys, key); len(keys) > maxMembers {
			return errTooMany
		}
		if err := member(s, key, s.take('=')); err != nil {
			return err
		}
		if more, err := s.more(); !more {
			return err
		}
	}
	return nil
}

// sequence is a byte sequence by its name.
type sequence struct {
	name  string
	bytes []byte
}

// named finds one; nil is that there is none.
func named(list []sequence, name string) []byte {
	for i := range list {
		if list[i].name == name {
			return list[i].bytes
		}
	}
	return nil
}

func parseSignatures(field string) (values []sequence, err error) {
	err = dictionary(field, func(s *scanner, key string, has bool) error {
		if !has || s.peek() != ':' {
			return errSyntax
		}
		v, err := s.octets()
		if err != nil {
			return err
		}
		values = append(values, sequence{key, v})
		_, err = s.parameters()
		return err
	})
	return values, err
}

func parseInputs(field string) (list []Signature, err error) {
	err = dictionary(field, func(s *scanner, key string, has bool) error {
		if !has || s.peek() != '(' {
			return errNoList
		}
		one := Signature{Label: key}
		if err := one.read(s); err != nil {
			return err
		}
		list = append(list, one)
		return nil
	})
	return list, err
}

// read reads an inner list (RFC 9651 §4.2.1.2) of components with the parameters of
// the signature.
func (g *Signature) read(s *scanner) error {
	begin := s.at
	s.at++
	g.components = make([]component, 0, usualComponents)
	for {
		s.skip(" ")
		if s.take(')') {
			break
		}
		if s.peek() != '"' {
			return errComponent
		}
		from := s.at
		name, err := s.bare()
		if err != nil {
			return err
		}
		written := s.s[from:s.at]
		params, err := s.parameters()
		if err != nil {
			return err
		}
		if c := s.peek(); c != ' ' && c != ')' {
			return errSyntax
		}
		c, err := newComponent(name.text, written, params)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(g.components, func(other component) bool { return other.id == c.id }) { // RFC 9421 §2: each component once
			return errTwice
		}
		if g.components = append(g.components, c); len(g.components) > maxComponents {
			return errTooMany
		}
	}
	params, err := s.parameters()
	if err != nil {
		return err
	}
	var room [512]byte // on the stack
	b := room[:0]
	for i := range g.components {
		b = append(append(b, ' '), g.components[i].id...)
	}
	if len(b) > 0 {
		b[0] = '('
	} else {
		b = append(b, '(')
	}
	b = appendParameters(append(b, ')'), params)
	if g.params = s.s[begin:s.at]; g.params != string(b) { // it is written as nobody else would
		g.params = string(b)
	}
	return g.describe(params)
}

// describe reads RFC 9421 §2.3. Parameters that it does not name are signed like any.
func (g *Signature) describe(params []parameter) error {
	for _, p := range params {
		v := p.value
		want := text
		switch p.name {
		case "created":
			want, g.Created, g.HasCreated = integer, v.number, true
		case "expires":
			want, g.Expires, g.HasExpires = integer, v.number, true
		case "keyid":
			g.KeyID = v.text
		case "alg":
			g.Alg = v.text
		case "nonce":
			g.Nonce = v.text
		case "tag":
			g.Tag = v.text
		default:
			continue
		}
		if v.kind != want {
			return errSyntax
		}
	}
	return nil
}

// newComponent makes a component of its name, as it is and as the field has it.
func newComponent(name, written string, params []parameter) (component, error) {
	c := component{name: name, id: written}
	if name == "" || name != strings.ToLower(name) {
		return c, errComponent
	}
	if len(params) > 0 {
		c.id = string(appendParameters([]byte(written), params))
	}
	derived := name[0] == '@'
	c.unsupported = derived && !slices.Contains(derivedNames, name)
	for _, p := range params {
		yes := p.value.kind == boolean && p.value.number == 1
		switch {
		case p.name == "name" && name == "@query-param" && p.value.kind == text:
			c.param = p.value.text
		case p.name == "bs" && !derived && yes:
			c.wrapped = true
		case p.name == "sf" && !derived && yes:
			c.strict = true
		case p.name == "key" && !derived && p.value.kind == text:
			c.keyed, c.member = true, p.value.text
		default:
			c.unsupported = true
		}
	}
	// RFC 9421 §2.2.8: it needs a name. §2.1.3: bytes are not read as a structure.
	c.unsupported = c.unsupported || name == "@query-param" && len(params) == 0 || c.wrapped && (c.strict || c.keyed)
	return c, nil
}
