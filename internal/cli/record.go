package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

const (
	defaultRecorded = 10_000
	recordFor       = "1m"
)

func newRecord(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "record FILE",
		GroupID: groupLive,
		Short:   "Record requests, and what was decided about them, for gridway replay",
		Long: `Writes requests, with what was decided about them, into a file that "gridway replay"
decides again on another configuration: method, host, path, query, header fields, the
client's address and identity, the caller and claims that were established, route, rule,
policy, backend, and what was sent. Bodies are not recorded.

Asked of a gateway with a mesh, it records what passes its own edge and all proxies, once
at each: --direction edge is what comes from outside alone. Connections of what is not
HTTP are recorded at their end.

Credentials are masked in the proxy, or hashed with --credentials hashed by a key that
nobody has, so that equal ones can be told. Other values of headers, queries and claims
are in the file as they are: keep it as you keep access logs. The file must not be
there yet, and only you may read it; "-" writes to the standard output.

It ends after --for or --max requests, or when it is interrupted. It needs the role
operator and is written to the audit log.

` + adminHelp,
		Example: lines("gridway record monday.jsonl --for 10m --sample 0.1", "gridway record denied.jsonl --denied --max 100", "gridway record - --path '/api/*' | gzip > api.jsonl.gz"),
		Args:    command.Takes(1, 1),
	}
	a := adminFlag(t, cmd)
	values := tapFlags(cmd, "record", "show", "open")
	proxies := cmd.Flags().StringArray("proxy", nil, "only what this proxy sees: its name, or a part of it such as NAMESPACE/SERVICE (repeatable)")
	most := cmd.Flags().Int("max", defaultRecorded, "end after so many requests")
	credentials := cmd.Flags().String("credentials", tap.HideMasked, "what becomes of credentials: masked or hashed")
	complete(cmd, "credentials", tap.HideMasked, tap.Hashed)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := values()
		if err != nil {
			return err
		}
		if *most < 1 || *most > replay.MaxRequests {
			return usagef("", "--max must be 1 to %d", replay.MaxRequests)
		}
		if !q.Has("for") {
			q.Set("for", recordFor)
		}
		if !q.Has("rate") {
			q.Set("rate", strconv.Itoa(tap.MaxRate))
		}
		q.Set("max", strconv.Itoa(*most))
		q.Set("record", *credentials)
		q["proxy"] = *proxies
		if *credentials != tap.HideMasked && *credentials != tap.Hashed {
			return usagef("", "--credentials must be %s or %s, not %q", tap.HideMasked, tap.Hashed, *credentials)
		}
		return record(cmd.Context(), t, a, q, args[0])
	}
	return cmd
}

// record writes a recording until it ends.
func record(ctx context.Context, t *term.Terminal, a *admin, q url.Values, path string) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	out, done, err := recordingFile(t, path)
	if err != nil {
		return err
	}
	p := &tapPrinter{t: t}
	defer func() { err = errors.Join(err, done(p.seen)) }()
	services, err := madeServices(ctx, c)
	if err != nil {
		return adminError(err, c.Address())
	}
	head, err := json.Marshal(replay.Head{Format: replay.Format, Version: replay.Version, Time: time.Now().UTC(), Credentials: q.Get("record"), Filters: q.Encode()})
	if err != nil {
		return err
	}
	for _, line := range append([][]byte{head}, services...) {
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	noteUnknown(ctx, t, c, q)
	err = c.Tap(ctx, q, func(e *tap.Event, line []byte) error {
		if e.Type != tap.Exchange && e.Type != tap.Stream {
			p.print(e) // which proxies are not seen, and how many were left out
			return nil
		}
		p.seen++
		_, err := out.Write(append(line, '\n'))
		return err
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return adminError(err, c.Address())
	}
	p.endLeftOut()
	return nil
}

// madeServices are the lines of Services that workloads have made, which are in no file. A
// process without a configuration of its own, such as a sidecar, has none.
func madeServices(ctx context.Context, c *client.Client) (lines [][]byte, err error) {
	list, err := c.Objects(ctx, "Service", true)
	var fault *adminapi.Fault
	if errors.As(err, &fault) && fault.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Source != recordedSource || len(lines) == replay.MaxServices {
			continue
		}
		line, err := serviceLine(list[i].Value)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// recordingFile is a new file, which is removed again if nothing was recorded.
func recordingFile(t *term.Terminal, path string) (io.Writer, func(recorded int) error, error) {
	if path == "-" {
		return t.RawOut, func(int) error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, usagef("remove it, or name another one", "%s is there already", path)
	}
	if err != nil {
		return nil, nil, err
	}
	return f, func(recorded int) error {
		err := f.Close()
		if recorded == 0 {
			t.Errorf("nothing was recorded, and there is no %s\n", path)
			return errors.Join(err, os.Remove(path))
		}
		if err == nil {
			t.Errorf("%s in %s; \"gridway replay %s --on FILE\" decides them again\n", excerpt.Count(recorded, "request"), path, path)
		}
		return err
	}, nil
}
