package command

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
)

// wordsByRef is what the script for bash asks of the package bash-completion,
// and wordsAlone what does where that is not installed.
const (
	wordsByRef = `    _get_comp_words_by_ref "$@" cur prev words cword
`
	wordsAlone = `    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref "$@" cur prev words cword
    else
        words=("${COMP_WORDS[@]}")
        cword=$COMP_CWORD
        cur=${words[cword]}
        prev=${words[cword-1]}
    fi
`
)

// CompleteAlone makes the script for bash work without bash-completion.
func CompleteAlone(t *term.Terminal, root *cobra.Command) {
	bash, _, err := root.Find([]string{"completion", "bash"})
	if err != nil {
		return
	}
	bash.RunE = func(cmd *cobra.Command, _ []string) error {
		plain, err := cmd.Flags().GetBool("no-descriptions")
		if err != nil {
			return err
		}
		var script bytes.Buffer
		if err := root.GenBashCompletionV2(&script, !plain); err != nil {
			return err
		}
		t.Printf("%s", strings.Replace(script.String(), wordsByRef, wordsAlone, 1))
		return nil
	}
}

// Offer completes the nth argument with the nth list, and nothing beyond.
func Offer(lists ...[]string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) < len(lists) {
			return lists[len(args)], cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
