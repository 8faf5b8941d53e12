package transcoding

import (
	"errors"
	"fmt"
	"strings"
)

// segmentKind is what a segment of a template matches.
type segmentKind uint8

const (
	literal segmentKind = iota
	star                // exactly one segment
	rest                // "**": all that is left, also nothing
)

type segment struct {
	kind segmentKind
	text string // of a literal, without escapes
}

// variable is a part of a path that is the value of a field.
type variable struct {
	// path is the field's, as the template names it.
	path string
	// from and to bound its segments; to is -1 for all that is left.
	from, to int
	// single: it is "*", whose value is decoded entirely.
	single bool
}

// template is a path of google.api.http:
//
//	Template = "/" Segments [ Verb ] ;
//	Segments = Segment { "/" Segment } ;
//	Segment  = "*" | "**" | LITERAL | Variable ;
//	Variable = "{" FieldPath [ "=" Segments ] "}" ;
//	FieldPath = IDENT { "." IDENT } ;
//	Verb     = ":" LITERAL ;
type template struct {
	segments  []segment
	variables []variable
	verb      string
}

// Bounds of a template.
const (
	maxTemplate  = 4 << 10
	maxSegments  = 64
	maxVariables = 32
)

// parseTemplate reads a template, or says what is wrong with it and where.
func parseTemplate(text string) (template, error) {
	p := templateParser{text: text}
	if len(text) > maxTemplate {
		return template{}, fmt.Errorf("it is longer than %d bytes", maxTemplate)
	}
	if err := p.parse(); err != nil {
		return template{}, fmt.Errorf("at byte %d: %w", p.at+1, err)
	}
	return p.out, nil
}

type templateParser struct {
	text string
	at   int
	out  template
}

func (p *templateParser) parse() error {
	if !p.take('/') {
		return errors.New(`it must begin with "/"`)
	}
	if p.at == len(p.text) {
		return nil // the root
	}
	if err := p.list(false); err != nil {
		return err
	}
	if p.take(':') {
		verb, err := p.literal()
		switch {
		case err != nil:
			return err
		case verb == "":
			return errors.New(`a verb must follow ":"`)
		case p.at < len(p.text):
			return fmt.Errorf("%q stands behind the verb", p.text[p.at])
		}
		p.out.verb = verb
	}
	if p.at < len(p.text) {
		return fmt.Errorf("%q cannot stand here", p.text[p.at])
	}
	return nil
}

// list reads segments with slashes between them.
func (p *templateParser) list(inVariable bool) error {
	for {
		if err := p.segment(inVariable); err != nil {
			return err
		}
		if !p.take('/') {
			return nil
		}
	}
}

func (p *templateParser) segment(inVariable bool) error {
	if n := len(p.out.segments); n > 0 && p.out.segments[n-1].kind == rest {
		return errors.New(`"**" must be the last segment`)
	}
	if len(p.out.segments) == maxSegments {
		return fmt.Errorf("it has more than %d segments", maxSegments)
	}
	switch {
	case p.take('*'):
		kind := star
		if p.take('*') {
			kind = rest
		}
		p.out.segments = append(p.out.segments, segment{kind: kind})
		return nil
	case p.peek() == '{':
		if inVariable {
			return errors.New("a variable cannot be inside another")
		}
		p.at++
		return p.variable()
	}
	text, err := p.literal()
	if err != nil {
		return err
	}
	if text == "" {
		if p.at == len(p.text) {
			return errors.New("a segment is missing")
		}
		return fmt.Errorf("%q cannot stand here", p.text[p.at])
	}
	p.out.segments = append(p.out.segments, segment{text: text})
	return nil
}

func (p *templateParser) variable() error {
	if len(p.out.variables) == maxVariables {
		return fmt.Errorf("it has more than %d variables", maxVariables)
	}
	from := p.at
	for p.at < len(p.text) && (isIdent(p.text[p.at]) || p.text[p.at] == '.') {
		p.at++
	}
	v := variable{path: p.text[from:p.at], from: len(p.out.segments)}
	for name := range strings.SplitSeq(v.path, ".") {
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			return fmt.Errorf("%q is not the path of a field", v.path)
		}
	}
	if p.take('=') {
		if err := p.list(true); err != nil {
			return err
		}
	} else {
		if n := len(p.out.segments); n == maxSegments {
			return fmt.Errorf("it has more than %d segments", maxSegments)
		}
		p.out.segments = append(p.out.segments, segment{kind: star})
	}
	if !p.take('}') {
		return errors.New(`a variable lacks its "}"`)
	}
	v.to = len(p.out.segments)
	last := p.out.segments[v.to-1].kind
	if last == rest {
		v.to = -1
	}
	v.single = last == star && v.to-v.from == 1
	for i := range p.out.variables {
		if p.out.variables[i].path == v.path {
			return fmt.Errorf("the field %s is there twice", v.path)
		}
	}
	p.out.variables = append(p.out.variables, v)
	return nil
}

// literal reads text, whose percent-encoding it undoes.
func (p *templateParser) literal() (string, error) {
	from := p.at
	for p.at < len(p.text) && isLiteral(p.text[p.at]) {
		p.at++
	}
	text, ok := decode(p.text[from:p.at], false)
	if !ok {
		p.at = from
		return "", errors.New("the percent-encoding is not valid")
	}
	return text, nil
}

func (p *templateParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *templateParser) take(c byte) bool {
	if p.peek() != c || p.at == len(p.text) {
		return false
	}
	p.at++
	return true
}

func isIdent(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// isLiteral: what a segment may have in RFC 3986 §3.3 but for "*" and ":", which
// mean something here.
func isLiteral(c byte) bool { return isIdent(c) || strings.IndexByte("-.~%!$&'()+,;=@", c) >= 0 }

// decode undoes percent-encoding; with keepSlash, but for that of "/".
func decode(s string, keepSlash bool) (string, bool) {
	at := strings.IndexByte(s, '%')
	if at < 0 {
		return s, true
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		if c := byte(hi<<4 | lo); c == '/' && keepSlash {
			out = append(out, s[i:i+3]...)
		} else {
			out = append(out, c)
		}
		i += 2
	}
	return string(out), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// String is the template with its variables' names gone: two with the same
// string match the same paths.
func (t *template) String() string {
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteByte('/')
		switch s.kind {
		case star:
			b.WriteByte('*')
		case rest:
			b.WriteString("**")
		default:
			b.WriteString(s.text)
		}
	}
	if len(t.segments) == 0 {
		b.WriteByte('/')
	}
	if t.verb != "" {
		b.WriteString(":" + t.verb)
	}
	return b.String()
}
