package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func newExplain(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain [METHOD] URL | --request-id ID",
		GroupID: groupFiles,
		Short:   "Say what would happen to a request, and why",
		Long: `Says which listener, section, route and rule would serve a request, what its
filters make of it, which policies are in force, and where it would go, each with
the file and line it was written in; and for the rules that lost, why. Where JSON
is transcoded to gRPC it names the method and the template, or why the nearest
templates do not match. Nothing is sent.

With --file the answer comes from files alone; otherwise from a running gateway
(--admin), with the present state of its endpoints. The URL's scheme and port
choose the listener; without a port the one that fits. "tcp://host:port",
"tls://name:port" and "udp://host:port" stand for connections that are not HTTP,
and have no method. Without a method a request is a GET.

Who sends the request is told by the credentials in its headers. --token-file,
--api-key-file and --basic-file put one where the policy in force looks for it. For
each method of authentication the answer says what it makes of that and, of what
is refused, why, which no client is told. No credential is printed. With --consumer,
--claim or --auth-method it is somebody whom authentication is taken to have let
through; --identity is a verified client certificate. For each
AuthorizationPolicy the answer names the rule that matches or, where none does,
what each rule lacks.

With --request-id it is a request that was real: what each proxy that it has passed
remembers of it, with its policies, endpoints, retries and times, and the reason if it
was refused. Responses of the gateway carry the ID in X-Request-Id, as the access log
does. What newer requests have taken the place of is forgotten (--telemetry-memory).

With --from the request is one of a service in a mesh: the answer says what its own
proxy does with it and, if it goes on to the service that was asked for, what the
proxies of that do: by --file, or by what a control plane knows now.`,
		Example: lines(
			"gridway explain GET http://shop.example/api/products",
			`gridway explain GET /api/reviews/1 -H "X-Canary: always" --file shop.yaml`,
			"gridway explain POST https://shop.example/api/orders --file config/ -o json",
			"gridway explain GET https://shop.example/api/orders --token-file token.jwt",
			"gridway explain tls://shop.example:443",
			"gridway explain --request-id 7d5a0f0e-2b64-4a3e-9a2f-2f6f0d1c9b1a",
			"gridway explain --from reviews.shop GET http://ratings:9080/ --file mesh.yaml",
			"gridway explain DELETE http://shop.example/api/orders/7 --consumer acme --claim role=admin --client 203.0.113.7",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("request-id") {
				return noArgs(cmd, args)
			}
			if len(args) == 1 && strings.Contains(args[0], "/") {
				return nil
			}
			return exactArgs("a method", "a URL")(cmd, args)
		},
		ValidArgsFunction: offer(methods),
	}
	out := outputFlag(cmd)
	var (
		headers []string
		files   []string
		at      string
		client  string
		all     bool
		from    string
		real    string
		who     caller
	)
	admin := adminFlag(t, cmd)
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, `request header "Name: value" (repeatable)`)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file or folder with configuration, instead of a running gateway (repeatable)")
	cmd.Flags().StringVar(&at, "listener", "", "listener or section that gets the request, whatever the URL's port")
	cmd.Flags().StringVar(&client, "client", "", "address of the client, after trusted proxies (default 127.0.0.1)")
	cmd.Flags().StringVar(&from, "from", "", "service of the mesh that sends the request: SERVICE or SERVICE.NAMESPACE (with --file, or of a control plane)")
	cmd.Flags().StringVar(&real, "request-id", "", "ID of a request that has passed, instead of one that is imagined")
	who.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "show all rules that lost, also those for other hosts and paths")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("request-id") {
			if len(files) > 0 || from != "" || real == "" {
				return usagef("", "--request-id asks a running gateway for a request that has passed: it goes with --admin and -o alone, and is not empty")
			}
			return explainRequest(cmd.Context(), t, admin, real, *out)
		}
		req := dryrun.Request{URL: args[len(args)-1], Listener: at, Client: client}
		if len(args) == 2 {
			req.Method = strings.ToUpper(args[0])
		}
		for _, h := range headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usagef("", "the header %q has no colon; write \"Name: value\"", h)
			}
			req.Headers = append(req.Headers, ir.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
		}
		if err := who.fill(&req, t.In); err != nil {
			return err
		}
		if from != "" {
			return explainFrom(cmd.Context(), t, files, admin, from, req, *out, all)
		}
		e, err := explainer(cmd.Context(), t, files, admin)
		if err != nil {
			return err
		}
		d, err := e.decide(req)
		if err != nil {
			return err
		}
		d = d.Redacted() // both ways alike: output ends up in logs of CI
		if *out != term.TableFormat {
			return out.Write(t.Out, explained{Decision: d, Endpoints: e.endpoints(d)})
		}
		printDecision(t, d, e, all)
		return nil
	}
	return cmd
}

// explained is a Decision with what a running gateway knows of the endpoints.
type explained struct {
	*dryrun.Decision
	Endpoints map[string][]endpointState `json:"endpointStates,omitempty"`
}

// endpointState is one endpoint as the running gateway sees it.
type endpointState struct {
	Address string `json:"address"`
	State   string `json:"state"`
	Active  int    `json:"active"`
}

// source of decisions: files, or a running gateway with its endpoint states.
type source struct {
	decide func(dryrun.Request) (*dryrun.Decision, error)
	states map[string][]endpointState // by cluster; nil offline
}

func (s *source) endpoints(d *dryrun.Decision) map[string][]endpointState {
	out := map[string][]endpointState{}
	for _, b := range d.Backends {
		if st := s.states[b.Cluster]; st != nil {
			out[b.Cluster] = st
		}
	}
	return out
}
