package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gridway/gridway/internal/cli/term"
)

//go:generate go run ./gendocs ../../docs/cli

// Docs returns the reference pages of the commands, by file name. They are
// made from the same texts as --help.
func Docs() map[string]string {
	root := newRoot(term.New(strings.NewReader(""), io.Discard, io.Discard, nil))
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString("# Commands\n\n<!-- Made by make docs from the commands themselves. -->\n\n" + paragraphs(root.Long) + "\n")
	for _, g := range root.Groups() {
		fmt.Fprintf(&index, "\n## %s\n\n", strings.TrimSuffix(g.Title, ":"))
		list(&index, root, g.ID)
	}
	index.WriteString("\n## More\n\n")
	list(&index, root, "")
	for _, c := range root.Commands() {
		if !c.Hidden && c.Name() != "help" {
			pages[c.Name()+".md"] = docPage(c)
		}
	}
	pages["README.md"] = index.String()
	return pages
}

func list(b *strings.Builder, root *cobra.Command, group string) {
	for _, c := range root.Commands() {
		if c.GroupID == group && !c.Hidden && c.Name() != "help" {
			fmt.Fprintf(b, "- [gridway %s](%s.md): %s\n", c.Name(), c.Name(), c.Short)
		}
	}
}

func docPage(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n<!-- Made by make docs from the command itself. -->\n\n%s.\n\n```\n%s\n```\n\n", c.CommandPath(), c.Short, c.UseLine())
	if c.HasAvailableSubCommands() {
		for _, sub := range c.Commands() {
			fmt.Fprintf(&b, "- `%s`: %s\n", sub.CommandPath(), sub.Short)
		}
		b.WriteString("\n")
	}
	b.WriteString(paragraphs(c.Long) + "\n")
	if c.Example != "" {
		lines := strings.Split(c.Example, "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		fmt.Fprintf(&b, "\n## Examples\n\n```sh\n%s\n```\n", strings.Join(lines, "\n"))
	}
	b.WriteString("\n## Flags\n\n| flag | meaning |\n|---|---|\n")
	flags(&b, c.NonInheritedFlags())
	flags(&b, c.InheritedFlags())
	return b.String()
}

func flags(b *strings.Builder, set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + kind
		}
		if d := f.DefValue; d != "" && d != "[]" && d != "false" && d != "0" && d != "0s" {
			usage += " (default " + d + ")"
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(name, "|", "\\|"), strings.ReplaceAll(usage, "|", "\\|"))
	})
}

// paragraphs keeps blocks that are indented as code.
func paragraphs(text string) string {
	var out []string
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(block, "  ") {
			block = "```yaml\n" + block + "\n```"
		}
		out = append(out, block)
	}
	return strings.Join(out, "\n\n")
}
