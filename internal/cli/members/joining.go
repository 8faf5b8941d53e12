package members

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app/memberadmin"
	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

const defaultControl = "127.0.0.1:15010"

// joining are the flags of every command that joins a mesh.
type joining struct {
	control              []string
	tokenFile, tokenText string
	address              string
	labels               map[string]string
	namespace            string
	proof                proofFlags
	admin, probes        string
}

func (j *joining) flags(t *term.Terminal, cmd *cobra.Command) {
	j.hostFlags(t, cmd)
	f := cmd.Flags()
	f.StringVar(&j.namespace, "namespace", "default", "namespace of the service")
	j.proof.flags(cmd)
	f.StringToStringVar(&j.labels, "label", nil, "labels of the workload, NAME=VALUE with commas between them, as in version=v2")
}

// hostFlags are those of members that are not one workload, too.
func (j *joining) hostFlags(t *term.Terminal, cmd *cobra.Command) {
	control := []string{defaultControl}
	if list := t.Getenv("GRIDWAY_CONTROL"); list != "" {
		control = strings.Split(list, ",")
	}
	f := cmd.Flags()
	f.StringSliceVar(&j.control, "control", control, "control planes, HOST:PORT with commas between them: another one is taken when one is gone (default $GRIDWAY_CONTROL or "+defaultControl+")")
	f.StringVar(&j.tokenFile, "join-token-file", "", "file with the token to join with, - for the standard input (default $GRIDWAY_JOIN_TOKEN); not needed again while --state-dir has an identity that is valid")
	f.StringVar(&j.address, "address", "", "IP address that other proxies reach this one by (default: that from which the control plane is reached)")
	f.StringVar(&j.admin, "admin", "", "address of this proxy's admin API: unix:PATH, a HOST:PORT of loopback, or off (default: "+memberadmin.Socket+" in --state-dir)")
	f.StringVar(&j.probes, "probes", "", "address that answers /healthz, /readyz and /metrics, and nothing else, to whoever asks: [HOST]:PORT, as in :15020")
	j.proof.hostFlags(cmd)
	j.tokenText = t.Getenv(member.TokenVariable)
}

// checkAdmin checks the flags of the admin API.
func (j *joining) checkAdmin() error {
	path, isPath := strings.CutPrefix(j.admin, "unix:")
	switch {
	case j.admin == "" || j.admin == "off":
	case isPath && path == "":
		return command.Usagef("", "--admin unix: has no path behind it")
	case isPath && len(path) > memberadmin.MaxSocketPath:
		return command.Usagef("", "--admin %s: the path has %d bytes, and that of a socket has %d at most", j.admin, len(path), memberadmin.MaxSocketPath)
	case isPath:
	default:
		host, port, err := net.SplitHostPort(j.admin)
		if err != nil || !command.IsPort(port) {
			return command.Usagef("write it as in 127.0.0.1:9911, unix:/run/reviews.sock or off", "--admin %s is no address", j.admin)
		}
		if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
			return command.Usagef("health and metrics are answered to others at --probes", "--admin %s: the admin API of a proxy in the mesh listens on loopback alone", j.admin)
		}
	}
	if j.probes == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(j.probes)
	if _, notIP := netip.ParseAddr(host); err != nil || !command.IsPort(port) || host != "" && host != "localhost" && notIP != nil {
		return command.Usagef("write it as in :15020 or 10.0.0.5:15020", "--probes %s is no address", j.probes)
	}
	return nil
}

// options checks the flags.
func (j *joining) options(t *term.Terminal, o *member.Options) error {
	for _, c := range j.control {
		if host, port, err := net.SplitHostPort(c); err != nil || host == "" || !command.IsPort(port) {
			return command.Usagef("write it as HOST:PORT; \"gridway control\" listens on port 15010 unless it was told otherwise", "--control %s is not the address of a control plane", c)
		}
	}
	if len(j.control) == 0 {
		return command.Usagef("", "--control must name a control plane")
	}
	if j.address != "" {
		a, err := netip.ParseAddr(j.address)
		if err != nil || a.IsUnspecified() || a.IsMulticast() {
			return command.Usagef("", "--address %s is not the IP address of a host", j.address)
		}
		o.Address = a
	}
	o.Control, o.Labels, o.Namespace = j.control, j.labels, j.namespace
	o.Token = strings.TrimSpace(j.tokenText)
	if j.tokenFile != "" {
		text, err := command.ReadText(t, j.tokenFile)
		if err != nil {
			return fmt.Errorf("join token: %w", err)
		}
		o.Token = strings.TrimSpace(string(text))
	}
	return j.proof.options(o)
}

// parsePort reads "[NAME:]PORT[/PROTOCOL]".
func parsePort(text string) (p distrib.Port, err error) {
	rest, protocol, given := strings.Cut(text, "/")
	if given && protocol == "" {
		return p, fmt.Errorf("%q has nothing behind the slash", text)
	}
	name, number, named := strings.Cut(rest, ":")
	if !named {
		name, number = "", rest
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || named && name == "" {
		return p, fmt.Errorf("%q is not a port; write [NAME:]PORT[/PROTOCOL], as in 9080, 9080/grpc or web:9080/http", text)
	}
	if len(name) > maxPortName || strings.Trim(name, lowerCase+digits+"-") != "" || strings.Trim(name, "-") != name {
		return p, fmt.Errorf("%q: the name of a port has lower-case letters, digits and hyphens between them, %d at most", text, maxPortName)
	}
	if given && (strings.Trim(protocol, lowerCase+upperCase+digits+"-._/") != "" || strings.Trim(protocol, "-._/") != protocol) {
		return p, fmt.Errorf("%q: what is behind the slash is no appProtocol, such as http, grpc, tcp or kubernetes.io/h2c", text)
	}
	return distrib.Port{Name: name, Number: uint16(n), Protocol: protocol}, nil
}

// What names of ports and protocols are made of, as in Services of Kubernetes.
const (
	maxPortName = 63
	lowerCase   = "abcdefghijklmnopqrstuvwxyz"
	upperCase   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits      = "0123456789"
)

// parseUpstream reads "SERVICE[.NAMESPACE][:PORT]=[ADDRESS]:PORT".
func parseUpstream(text, namespace string) (l distrib.LocalListener, err error) {
	what, where, ok := strings.Cut(text, "=")
	bad := func(why string) (distrib.LocalListener, error) {
		return l, fmt.Errorf("%q: %s; write SERVICE[.NAMESPACE][:PORT]=[ADDRESS]:PORT, as in ratings=:7001", text, why)
	}
	if !ok {
		return bad("there is no =")
	}
	service, port, given := strings.Cut(what, ":")
	if given {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return bad("the port of the service is no number from 1 to 65535")
		}
		l.ServicePort = uint16(n)
	}
	name, ns, given := strings.Cut(service, ".")
	if !given {
		ns = namespace
	}
	if err := identity.CheckWorkload(ns, name); err != nil {
		return bad(err.Error())
	}
	l.Service = ns + "/" + name
	host, port, err := net.SplitHostPort(where)
	if err != nil {
		return bad("where it is opened is no address with a port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return bad("where it is opened, the port is no number from 1 to 65535")
	}
	l.Port, l.Address = uint16(n), "127.0.0.1"
	if host != "" {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return bad("where it is opened is no IP address")
		}
		l.Address = a.String()
	}
	return l, nil
}

// parseAll reads the values of a flag that is given several times.
func parseAll[T comparable](flag string, texts []string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	for _, text := range texts {
		x, err := parse(text)
		if err != nil {
			return nil, command.Usagef("", "--%s %v", flag, err)
		}
		if slices.Contains(out, x) {
			return nil, command.Usagef("", "--%s %s is there twice", flag, text)
		}
		out = append(out, x)
	}
	return out, nil
}

// member joins a mesh and runs until its program ends, or a signal comes.
func (j *joining) run(ctx context.Context, t *term.Terminal, s *command.Proxy, o member.Options) error {
	if err := j.memberOptions(t, s, &o); err != nil {
		return err
	}
	if len(o.App.Command) == 0 {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	code, err := member.Run(ctx, o)
	switch err = s.CloseLog(err); {
	case err == nil && code != 0:
		return command.ExitCode(code)
	case err != nil && code > command.CodeProblems:
		return command.ProgramError{Err: err, Code: code}
	}
	return err
}

func (j *joining) memberOptions(t *term.Terminal, s *command.Proxy, o *member.Options) error {
	if o.Role != distrib.RoleNode {
		if o.Service == "" {
			return command.Usagef("", "--service is missing: the name of the service that this is a workload of")
		}
		if err := identity.CheckWorkload(j.namespace, o.Service); err != nil {
			return command.Usagef("", "--service and --namespace: %v", err)
		}
	}
	if err := j.options(t, o); err != nil {
		return err
	}
	if err := j.checkAdmin(); err != nil {
		return err
	}
	if s.Drain <= 0 {
		return command.Usagef("", "--drain-timeout must be more than 0")
	}
	var err error
	if o.Metrics, err = s.MetricSettings(); err != nil {
		return err
	}
	level := &slog.LevelVar{}
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return command.Usagef("", "--log-level must be debug, info, warn or error, not %q", s.LogLevel)
	}
	if o.Log, err = s.OpenLog(t.RawErr, &slog.HandlerOptions{Level: level}); err != nil {
		return err
	}
	if o.AccessLogOmit, err = accesslog.ParseOmitted(s.AccessLogOmit); err != nil {
		return command.Usagef("", "--access-log-omit: %v", err)
	}
	b := command.ReadBuild()
	o.Build = metric.Build{Version: b.Version, Commit: b.Commit, GoVersion: b.Go}
	o.Admin = (&memberadmin.API{Address: j.admin, Probes: j.probes, Version: b.Version, Level: level, LogStats: s.LogStats, Log: o.Log}).Open
	memory := trace.DefaultSidecar
	if o.Role == distrib.RoleEdge {
		memory = trace.DefaultMemory
	}
	if o.TelemetryMemory, err = s.TelemetryMemory(memory); err != nil {
		return err
	}
	o.AccessLog, o.Stdout, o.Stderr, o.Zone, o.DrainTimeout = s.AccessLog, t.RawOut, t.RawErr, s.Zone, s.Drain
	// Members of one machine have a folder each.
	if o.StateDir = s.StateDir; o.StateDir == "" {
		o.StateDir = filepath.Join(s.StateFolder(t), string(o.Role), j.namespace, cmp.Or(o.Service, o.Node))
	}
	return nil
}
