// Package docs holds the tests of what is written: links and anchors lead
// somewhere, commands parse, pages that must be complete are. Nothing imports it.
package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// page is a Markdown file.
type page struct {
	path  string // from the repository's root
	prose string // without fenced blocks
	code  string // the fenced blocks in which commands are shown
	yaml  []string
}

// pages reads every Markdown file of the repository.
func pages(root fs.FS) (map[string]page, error) {
	out := map[string]page{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (d.Name()[0] == '.' || d.Name() == "bin" || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		p := page{path: path}
		p.split(string(text))
		out[path] = p
		return nil
	})
	return out, err
}

func (p *page) split(text string) {
	fence, shell, yaml := "", false, false
	for l := range strings.Lines(text) {
		trimmed := strings.TrimSpace(l)
		switch {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			fence = "```"
			kind := strings.TrimLeft(trimmed, "`")
			shell = kind == "sh" || kind == "console" || kind == ""
			if yaml = kind == "yaml"; yaml {
				p.yaml = append(p.yaml, "")
			}
		case fence != "" && trimmed == fence:
			fence = ""
		case fence == "":
			p.prose += l
		case shell:
			p.code += l
		case yaml:
			p.yaml[len(p.yaml)-1] += l
		}
	}
}

var (
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	span     = regexp.MustCompile("`([^`\n]+)`")
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *$`)
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// links are the targets of a page's links.
func (p page) links() []string {
	var out []string
	for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(p.prose, ""), -1) {
		out = append(out, m[1])
	}
	return out
}

// anchors are what can follow the # of a link to the page, as GitHub makes them.
func (p page) anchors() map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(p.prose, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, linkText.ReplaceAllString(m[1], "$1"))
		out[slug] = true
	}
	return out
}

// commands are the calls of gridway that a page shows, split into words.
func (p page) commands() [][]string {
	var out [][]string
	for l := range strings.Lines(strings.ReplaceAll(p.code, "\\\n", " ")) {
		for part := range splitCommands(strings.TrimPrefix(strings.TrimSpace(l), "$ ")) {
			out = append(out, part)
		}
	}
	for _, m := range span.FindAllStringSubmatch(p.prose, -1) {
		for part := range splitCommands(m[1]) {
			out = append(out, part)
		}
	}
	return out
}
