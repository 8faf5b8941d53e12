package cli

import (
	"fmt"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// callTexts says which call a request becomes, and how.
func callTexts(c *dryrun.Call) []string {
	if c == nil {
		return nil
	}
	call := fmt.Sprintf("%s/%s, for %s", c.Service, c.Method, c.From)
	if c.Binding == "" {
		return []string{call}
	}
	out := []string{call + " by " + c.Binding}
	switch {
	case c.ClientStreams && c.ServerStreams:
		out = append(out, "streams in both directions")
	case c.ClientStreams:
		out = append(out, "the client streams")
	case c.ServerStreams:
		out = append(out, "the endpoint streams")
	}
	for _, v := range c.Variables {
		out = append(out, fmt.Sprintf("%s = %q from the path", v.Field, v.Value))
	}
	message := ""
	if s := string(c.Message); s != "" && s != "{}" {
		message = "message " + s
	}
	switch {
	case c.Body == "*" && message == "":
		message = "the body is the message"
	case c.Body == "*":
		message += ", the rest of it from the body"
	case c.Body != "" && message == "":
		message = "the body is its field " + c.Body
	case c.Body != "":
		message += ", its field " + c.Body + " from the body"
	case message == "":
		message = "an empty message"
	}
	out = append(out, message)
	if c.ResponseBody != "" {
		out = append(out, "the answer is its field "+c.ResponseBody)
	}
	return out
}

// printTemplates lists the paths that came nearest.
func printTemplates(t *term.Terminal, list []dryrun.Template) {
	if len(list) == 0 {
		return
	}
	table := term.NewTable().Indent("  ")
	for _, m := range list {
		table.Row(m.Binding, m.Service+"/"+m.Method, m.Why)
	}
	t.Printf("\n%s\n%s", term.Paint("no template", term.Faint), table)
}
