package cli

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
)

func newProxy(t *term.Terminal) *cobra.Command {
	var s serving
	var listen string
	var to []string
	var show bool
	cmd := &cobra.Command{
		Use:     "proxy --to URL",
		GroupID: groupRun,
		Short:   "Put a gateway in front of one program, without a file",
		Long: `Runs a gateway with one listener and one route that sends everything to --to.
Several --to share the load. --print shows the configuration that it stands for,
to start a file from.`,
		Example:           lines("gridway proxy --to http://localhost:3000", "gridway proxy --listen :9000 --to http://10.0.0.5:80 --to http://10.0.0.6:80", "gridway proxy --to https://api.example.com --print > gateway.yaml"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	cmd.Flags().StringVar(&listen, "listen", ":8080", "address to listen on: PORT, :PORT or IP:PORT")
	cmd.Flags().StringArrayVar(&to, "to", nil, "where requests go: http:// or https://, host and optional port (repeatable)")
	cmd.Flags().BoolVar(&show, "print", false, "print the configuration instead of running it")
	s.flags(t, cmd, "off", "warn")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text, err := proxyConfig(listen, to)
		if err != nil {
			return err
		}
		if show {
			t.Printf("%s", text)
			return nil
		}
		o, err := s.options(t)
		if err != nil {
			return err
		}
		o.Source = app.Files([]string{file.Stdin}, file.Options{Stdin: strings.NewReader(text)})
		return s.serve(cmd.Context(), t, o, hooks{started: func(g *app.Gateway) {
			for _, addr := range g.Listening() {
				t.Printf("%s http://%s → %s\n", term.Paint("proxying", term.Good), visible(addr), strings.Join(to, ", "))
			}
			if a := g.AdminAddr(); a != nil {
				t.Printf("%s\n", term.Paint(fmt.Sprintf("watch it with \"gridway top%s\"; ctrl-c ends it", adminArgument(a)), term.Faint))
			}
		}})
	}
	return cmd
}

// visible is an address that a browser can be given.
func visible(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(int(a.Port())))
	}
	return a.String()
}

// adminArgument is what to add to commands when the address is not the usual one.
func adminArgument(a net.Addr) string {
	if a.String() == defaultAdmin {
		return ""
	}
	return " --admin " + a.String()
}

// proxyConfig writes the objects that the flags stand for.
func proxyConfig(listen string, to []string) (string, error) {
	host, port, err := listenAddress(listen)
	if err != nil {
		return "", err
	}
	if len(to) == 0 {
		return "", usagef("gridway proxy --to http://localhost:3000", "--to is missing")
	}
	scheme, endpoints := "", []string{}
	for _, target := range to {
		u, err := upstreamURL(target)
		if err != nil {
			return "", err
		}
		if scheme != "" && scheme != u.Scheme {
			return "", usagef("", "--to must be all http or all https")
		}
		scheme = u.Scheme
		endpoints = append(endpoints, fmt.Sprintf("  - {address: %q}\n", u.Host))
	}
	addresses := ""
	if host != "" {
		addresses = fmt.Sprintf("  addresses: [{type: IPAddress, value: %q}]\n", host)
	}
	protocol := ""
	if scheme == "https" {
		protocol = "  protocol: https\n"
	}
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
%s  listeners:
  - {name: http, port: %d, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: everything}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: upstream}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: upstream}
spec:
%s  endpoints:
%s`, addresses, port, protocol, strings.Join(endpoints, "")), nil
}

func listenAddress(s string) (host string, port int, err error) {
	if _, err := strconv.Atoi(s); err == nil {
		s = ":" + s
	}
	host, p, err := net.SplitHostPort(s)
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil || port < 1 || port > 65535 {
		return "", 0, usagef("write it as 8080, :8080 or 127.0.0.1:8080", "--listen %q is not an address with a port", s)
	}
	switch host {
	case "", "*", "0.0.0.0", "::":
		return "", port, nil
	case "localhost":
		return "127.0.0.1", port, nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", 0, usagef("give an IP address of this machine, or leave it out for all of them", "--listen: %q is not an IP address", host)
	}
	return host, port, nil
}

// upstreamURL accepts "localhost:3000" as well as a whole URL.
func upstreamURL(s string) (*url.URL, error) {
	full := s
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return nil, usagef("", "--to %q: %v", s, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usagef("", "--to %q: the scheme must be http or https", s)
	case u.Hostname() == "":
		return nil, usagef("write http://HOST:PORT", "--to %q has no host", s)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, usagef("a URLRewrite filter can add one: start from \"gridway proxy --print\"", "--to %q has a path, which is not used", s)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return u, nil
}
