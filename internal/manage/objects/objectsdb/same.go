package objectsdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/manage/objects"
)

// same tells whether an object says what is kept already. What was shown by "gridway get",
// in YAML or JSON, or was laid out anew by a program, is no change when it comes back; a
// comment that is not there yet is one.
func same(kept, sent *managed.Object) bool {
	if kept.Text == sent.Text {
		return true
	}
	if kept.Broken || sent.Broken || kept.Value == nil || sent.Value == nil {
		return false
	}
	was, is := content(kept), content(sent)
	if was == nil || !bytes.Equal(was, is) {
		return false
	}
	has := map[string]bool{}
	for _, c := range comments(kept.Text) {
		has[c] = true
	}
	for _, c := range comments(sent.Text) {
		if !has[c] {
			return false
		}
	}
	return true
}

// content is what an object says, in one form, without its status; nil if it has none.
func content(o *managed.Object) []byte {
	text, err := json.Marshal(o.Value)
	if err != nil { // API types always marshal
		return nil
	}
	var v map[string]json.RawMessage
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	delete(v, "status")
	if text, err = json.Marshal(v); err != nil {
		return nil
	}
	return text
}

// comments are the lines of a text's comments, without their marks.
func comments(text string) (out []string) {
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		if err := d.Decode(&n); err != nil {
			if !errors.Is(err, io.EOF) {
				out = append(out, text) // unlike any other
			}
			return out
		}
		gather(&n, &out)
	}
}

func gather(n *yaml.Node, out *[]string) {
	for _, c := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for line := range strings.Lines(c) {
			if line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#")); line != "" {
				*out = append(*out, line)
			}
		}
	}
	for _, c := range n.Content {
		gather(c, out)
	}
}

// asWritten is a text without what "gridway get" has added to it: the line that says where
// the object is from, and its status.
func asWritten(text string) string {
	if first, rest, more := strings.Cut(text, "\n"); more && objects.IsOrigin(strings.TrimSpace(strings.TrimPrefix(first, "#"))) && strings.HasPrefix(first, "#") {
		text = rest
	}
	var b strings.Builder
	status := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "status:") {
			status = true
			continue
		}
		if status = status && strings.Trim(line[:1], " \t\r\n") == ""; !status {
			b.WriteString(line)
		}
	}
	return b.String()
}
