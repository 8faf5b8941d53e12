package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

func newReplay(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "replay FILE --on FILE|DIR...",
		GroupID: groupFiles,
		Short:   "Decide recorded requests again on other files, and show what differs",
		Long: `Decides the requests of a recording ("gridway record") on candidate files, without
sockets, and shows those that would be treated otherwise: another route, rule, verdict
of a policy, rewrite or backend. Compared is what was decided when they were recorded,
or, with --base, what other files make of them now; that also compares header fields,
replies and the shares of backends.

What has passed sidecars and node proxies is decided as the proxy of the client, or of
the workload, would have the candidate: routes of Services, policies about identities,
egress. Services that workloads had made by registering are in the recording.

Callers are those that were established then: credentials are not in recordings. What
cannot be decided without them, or without the network, is named and counted, never
guessed: external servers are not asked, and rate limits do not count.

The recording may be compressed by gzip. Exits with 0 if nothing differs, 1 if something
does, and 2 if it could not compare: a candidate with errors, for example, which no
gateway would serve, or one on which no request can be decided.`,
		Example: lines("gridway replay monday.jsonl --on config/", "gridway replay monday.jsonl --base main/ --on branch/", "gridway replay - --on config/ -o json < monday.jsonl"),
		Args:    command.Takes(1, 1),
	}
	out := outputFlag(cmd)
	var on, base []string
	cmd.Flags().StringArrayVar(&on, "on", nil, "file or folder with the candidate configuration (repeatable)")
	cmd.Flags().StringArrayVar(&base, "base", nil, "file or folder to compare with, instead of what was recorded (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(on) == 0 {
			return usagef("gridway replay "+args[0]+" --on config/", "--on is missing: the files to decide on")
		}
		in, file := t.In, "standard input"
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return usageError{Err: err}
			}
			defer f.Close()
			if info, err := f.Stat(); err == nil && info.IsDir() {
				return usagef("name one recording", "%s is a folder", args[0])
			}
			in, file = io.Reader(f), args[0]
		}
		r, err := runReplay(t, in, file, on, base)
		if err != nil {
			return notCompared(err)
		}
		if *out != term.TableFormat {
			err = out.Write(t.Out, r)
		} else {
			printReplay(t, r)
		}
		switch {
		case err != nil:
			return err
		case r.Different > 0:
			return errProblems
		case r.Undecided > 0 && r.Same == 0:
			return notCompared(hintError{Err: errors.New("none of the requests could be decided: nothing was compared"), Hint: "are these the files of the gateway that was recorded?"})
		}
		return nil
	}
	return cmd
}

// notCompared is an error with the exit status that tells it from differences.
func notCompared(err error) error {
	var h hintError
	if errors.As(err, &h) {
		return usageError(h)
	}
	return usageError{Err: err}
}

func runReplay(t *term.Terminal, in io.Reader, file string, on, base []string) (*replay.Report, error) {
	recording, err := replay.Open(in, file)
	if err != nil {
		return nil, err
	}
	services, err := recordedServices(recording, file)
	if err != nil {
		return nil, err
	}
	candidate, err := replaySide(t, on, services, true)
	if err != nil {
		return nil, err
	}
	var before *replay.Side
	if len(base) > 0 {
		if before, err = replaySide(t, base, services, false); err != nil {
			return nil, err
		}
	}
	return replay.Run(recording, before, candidate)
}

// replayed is a request on one line.
func replayed(e *replay.Example) string {
	line := fmt.Sprintf("%s %s%s  %d", e.Method, e.Host, e.Path, e.Status)
	if e.Protocol != "" {
		line = e.Protocol + " " + e.Host
	}
	switch e.Direction {
	case tap.Inbound:
		line += fmt.Sprintf("  into %s from %s", cmp.Or(e.Proxy, "a workload"), cmp.Or(e.From, "outside of the mesh"))
	case tap.Outbound:
		line += "  out of " + cmp.Or(e.From, e.Proxy, "a workload")
	}
	return line
}

func printReplay(t *term.Terminal, r *replay.Report) {
	for _, g := range r.Groups {
		for _, e := range g.Examples {
			t.Printf("%s %s\n", term.Paint("~", term.Warn), harmless(replayed(&e)))
		}
		if more := g.Count - len(g.Examples); more > 0 {
			t.Printf("  %s\n", term.Paint(fmt.Sprintf("and %d more alike", more), term.Faint))
		}
		printAspects(t, g.Aspects)
	}
	style := term.Good
	if r.Different > 0 {
		style = term.Warn
	}
	t.Printf("%s\n", term.Paint(fmt.Sprintf("%s: %d decided as before, %d differently, %d not decided", excerpt.Count(r.Requests, "request"), r.Same, r.Different, r.Undecided), style))
	for _, list := range []struct {
		name string
		of   map[string]int
	}{{"not decided", r.Why}, {"assumed", r.Assumed}} {
		for _, why := range slices.Sorted(maps.Keys(list.of)) {
			t.Printf("  %s %d × %s\n", term.Paint(list.name+":", term.Faint), list.of[why], harmless(why))
		}
	}
}
