package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
)

// texts are objects as they are sent, out of one file or several. The gateway knows them
// as one text, and a person by their files.
type texts struct {
	text  []byte
	parts []textPart
}

type textPart struct {
	path string
	text []byte
	line int // of texts.text at which it begins, from 1
}

// readTexts reads files, folders and the standard input.
func readTexts(t *term.Terminal, paths []string) (*texts, error) {
	files, err := file.List(paths)
	if err != nil {
		return nil, err
	}
	s := &texts{}
	line := 1
	for i, path := range files {
		if slices.Contains(files[:i], path) {
			continue // it was named twice
		}
		text, err := command.ReadText(t, path)
		if err != nil {
			return nil, err
		}
		if len(s.parts) > 0 {
			s.text, line = append(s.text, "---\n"...), line+1
		}
		s.parts = append(s.parts, textPart{path, text, line})
		s.text = append(s.text, text...)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			s.text = append(s.text, '\n')
		}
		line = 1 + bytes.Count(s.text, []byte("\n"))
	}
	return s, nil
}

// at is the file, and its line, of a line of the text. Nothing was sent with nil.
func (s *texts) at(line int) (path string, own int) {
	if s == nil || len(s.parts) == 0 {
		return "", line
	}
	p := s.parts[0]
	for _, next := range s.parts[1:] {
		if next.line <= line {
			p = next
		}
	}
	if line == 0 {
		return p.path, 0
	}
	return p.path, line - p.line + 1
}

// read is the text of a file that was sent.
func (s *texts) read(path string) ([]byte, bool) {
	if s != nil {
		for _, p := range s.parts {
			if p.path == path {
				return p.text, true
			}
		}
	}
	return nil, false
}

// firstAt says of another line in a message in which file it is.
const firstAt = "first at line "

func (s *texts) message(text string) string {
	before, rest, found := strings.Cut(text, firstAt)
	if !found || s == nil || len(s.parts) < 2 {
		return text
	}
	digits := strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(rest[:digits])
	if err != nil {
		return text
	}
	path, line := s.at(n)
	return fmt.Sprintf("%sfirst at %s:%d%s", before, path, line, rest[digits:])
}
