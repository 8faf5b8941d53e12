package command

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/logqueue"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Proxy are the flags of every proxy, also of one that has its configuration from a
// control plane.
type Proxy struct {
	AccessLog           string
	AccessLogOmit       []string
	LogLevel, LogFormat string
	Drain               time.Duration
	Zone                string
	StateDir            string
	Metrics             metric.Settings
	// Memory is of telemetry, in bytes, with a unit.
	Memory string

	log *logqueue.Queue // set by OpenLog, ended by CloseLog
}

// Flags adds them, with what the access log and the log are if nobody says otherwise.
func (s *Proxy) Flags(t *term.Terminal, cmd *cobra.Command, accessLog, logLevel string) {
	f := cmd.Flags()
	f.StringVar(&s.AccessLog, "access-log", accessLog, "where the JSON access log goes: stdout, stderr, off or a file (SIGHUP opens it anew)")
	f.StringSliceVar(&s.AccessLogOmit, "access-log-omit", nil, "fields that the access log leaves out, with commas between them: "+strings.Join(accesslog.OmissibleFields(), ", "))
	f.StringVar(&s.LogLevel, "log-level", logLevel, "least severe level that is logged: debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "text", "form of the log on stderr: text or json")
	f.DurationVar(&s.Drain, "drain-timeout", 30*time.Second, "how long requests may go on after SIGTERM or SIGINT; a second signal ends them at once")
	f.StringVar(&s.Memory, "telemetry-memory", "", "memory for what has happened to requests, which \"gridway trace\" and \"gridway explain --request-id\" show: 256KiB to 4GiB, or off (default 16MiB, and 4MiB beside a workload)")
	f.StringVar(&s.Zone, "zone", t.Getenv("GRIDWAY_ZONE"), "zone of this proxy, for zone-aware load balancing (default $GRIDWAY_ZONE)")
	f.StringVar(&s.StateDir, "state-dir", "", "folder of what outlives the process, such as certificates that were issued; several gateways may share it (default $STATE_DIRECTORY, $XDG_STATE_HOME/gridway or ~/.local/state/gridway)")
	f.IntVar(&s.Metrics.Limit, "metrics-limit", metric.DefaultLimit, "how many rules have metrics of their own, and how many clusters, policies and so on: the others count together, labelled \"overflow\"")
	f.BoolVar(&s.Metrics.Native, "metrics-native-histograms", false, "give durations to Prometheus as native histograms, too, for scrapers that ask for protobuf")
	Complete(cmd, "access-log-omit", accesslog.OmissibleFields()...)
	Complete(cmd, "log-level", "debug", "info", "warn", "error")
	Complete(cmd, "log-format", "text", "json")
}

// MetricSettings checks the flags of metrics.
func (s *Proxy) MetricSettings() (metric.Settings, error) {
	if n := s.Metrics.Limit; n < metric.MinLimit || n > metric.MaxLimit {
		return s.Metrics, Usagef("", "--metrics-limit must be from %d to %d, not %d", metric.MinLimit, metric.MaxLimit, n)
	}
	return s.Metrics, nil
}

// StateFolder is where state is kept: systemd's StateDirectory=, or the user's
// folder of the XDG specification.
func (s *Proxy) StateFolder(t *term.Terminal) string {
	if s.StateDir != "" {
		return s.StateDir
	}
	if list := t.Getenv("STATE_DIRECTORY"); list != "" {
		first, _, _ := strings.Cut(list, ":")
		return first
	}
	if base := t.Getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "gridway")
	}
	if home := t.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "gridway")
	}
	return "/var/lib/gridway"
}
