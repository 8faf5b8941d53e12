package v1alpha1

import (
	"fmt"
	"strings"
)

// LogPart is a part of a line of text: a Text as it is, a Field of the access log, or a
// header field, by its name.
type LogPart struct {
	Text, Field                   string
	RequestHeader, ResponseHeader string
}

const (
	requestHeaderPrefix  = "request.headers."
	responseHeaderPrefix = "response.headers."
)

// maxLogParts bounds the parts of a template.
const maxLogParts = 192

// ParseLogTemplate reads a template of the access log: `${NAME}` is a part, `$$` a dollar
// sign. Whether fields of those names exist is for the caller to say.
func ParseLogTemplate(s string) ([]LogPart, error) {
	var out []LogPart
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out = append(out, LogPart{Text: text.String()})
			text.Reset()
		}
	}
	for at := 0; at < len(s); {
		switch c := s[at]; {
		case c == '\n' || c == '\r':
			return nil, fmt.Errorf("there is a line break at character %d, and a line is one line", at+1)
		case c != '$':
			text.WriteByte(c)
			at++
			continue
		case strings.HasPrefix(s[at:], "$$"):
			text.WriteByte('$')
			at += 2
			continue
		case !strings.HasPrefix(s[at:], "${"):
			return nil, fmt.Errorf("a dollar sign at character %d is neither ${NAME} nor $$", at+1)
		}
		name, _, closed := strings.Cut(s[at+2:], "}")
		if !closed {
			return nil, fmt.Errorf("${ at character %d has no }", at+1)
		}
		flush()
		part := LogPart{Field: name}
		if header, ok := strings.CutPrefix(name, requestHeaderPrefix); ok {
			part = LogPart{RequestHeader: header}
		} else if header, ok := strings.CutPrefix(name, responseHeaderPrefix); ok {
			part = LogPart{ResponseHeader: header}
		}
		if part == (LogPart{}) {
			return nil, fmt.Errorf("%q at character %d has no name", "${"+name+"}", at+1)
		}
		out = append(out, part)
		at += len("${}") + len(name)
	}
	flush()
	if len(out) > maxLogParts {
		return nil, fmt.Errorf("it has %d parts, and at most %d are possible", len(out), maxLogParts)
	}
	return out, nil
}
