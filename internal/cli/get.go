package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newGet(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get [KIND [NAME] | KIND/NAME]",
		GroupID: groupLive,
		Short:   "Show the objects that a running gateway has read",
		Long: `Lists objects with the place they were written at, or prints them with -o yaml or
-o json, with their status. Values of Secrets, and of headers that carry credentials,
are hidden. A managed object is printed in YAML as it was applied, with its comments;
"gridway apply -f -" takes it back, and finds nothing to change.
KIND is not case-sensitive and may be plural ("httproutes"). NAME may be
NAMESPACE/NAME. "get clusters" shows the endpoints behind backends with their
present state, "get certificates" those that issuers have given, with their next
renewals.

` + adminHelp,
		Example: lines("gridway get", "gridway get httproutes", "gridway get httproute catalog -o yaml", "gridway get httproute/shop/catalog", "gridway get clusters", "gridway get certificates"),
		Args:    getArgs,
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "", "only objects of this namespace")
	cmd.ValidArgsFunction = completeGet(a, namespace)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, name := whichObject(args)
		if kind == "cluster" || kind == "clusters" {
			return getClusters(cmd.Context(), t, a, out, name)
		}
		if kind == "certificate" || kind == "certificates" {
			return getCertificates(cmd.Context(), t, a, out, name)
		}
		if ns, bare, ok := strings.Cut(name, "/"); ok {
			*namespace, name = ns, bare
		}
		values := *out != term.TableFormat
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]adminapi.Object, error) {
			return c.Objects(ctx, "", values)
		})
		if err != nil {
			return err
		}
		found := selectObjects(list, kind, *namespace, name)
		if len(found) == 0 && (kind != "" || *namespace != "") {
			return notFound(list, kind, *namespace, name)
		}
		if values {
			return writeObjects(t, *out, found, name != "" && len(found) == 1)
		}
		table := term.NewTable("kind", "namespace", "name", "source", "written at")
		for _, o := range found {
			at := placeText(o.Place)
			if o.Revision > 0 {
				at = fmt.Sprintf("revision %d", o.Revision)
			}
			table.Row(o.Kind, o.Namespace, o.Name, o.Source, term.Paint(at, term.Place))
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func getArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 2 {
		return usagef("usage: "+cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[2])
	}
	if len(args) == 2 && strings.Contains(args[0], "/") {
		return usagef("usage: "+cmd.UseLine(), "%q is a kind and a name, so that %q is one too many", args[0], args[1])
	}
	return nil
}

// whichObject takes "KIND NAME" and "KIND/NAME".
func whichObject(args []string) (kind, name string) {
	if len(args) > 0 {
		kind, name, _ = strings.Cut(args[0], "/")
	}
	if len(args) > 1 {
		name = args[1]
	}
	return strings.ToLower(kind), name
}

// kindsOffered complete the first argument.
var kindsOffered = []string{
	"authenticationpolicy", "backend", "backendtlspolicy", "certificateissuer", "certificates", "clusters", "configmap", "consumer", "endpointslice", "gateway", "gatewayclass",
	"httproute", "listenerset", "meshpolicy", "namespace", "ratelimitpolicy", "referencegrant", "secret", "service", "shieldpolicy", "trafficpolicy",
}

func selectObjects(list []adminapi.Object, kind, namespace, name string) []adminapi.Object {
	found := []adminapi.Object{}
	for _, o := range list {
		if kindIs(o.Kind, kind) && (namespace == "" || o.Namespace == namespace) && (name == "" || o.Name == name) {
			found = append(found, o)
		}
	}
	return found
}

// kindIs accepts the kind and its English plural, in any case.
func kindIs(kind, asked string) bool {
	k := strings.ToLower(kind)
	return asked == "" || asked == k || asked == k+"s" || asked == k+"es" || asked == strings.TrimSuffix(k, "y")+"ies"
}

func notFound(list []adminapi.Object, kind, namespace, name string) error {
	var kinds, names []string
	for _, o := range list {
		kinds = append(kinds, strings.ToLower(o.Kind))
		if kindIs(o.Kind, kind) {
			names = append(names, o.Name)
		}
	}
	what := "object"
	if kind != "" {
		what = kind
	}
	if name != "" {
		what += " " + name
	}
	if namespace != "" {
		what += " in namespace " + namespace
	}
	hint := `"gridway get" lists what there is`
	if near := nearest(name, names); name != "" && near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if near := nearest(kind, kinds); len(names) == 0 && near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return hintError{Err: fmt.Errorf("the gateway has no %s", what), Hint: hint}
}

// shownText is an object in YAML: as somebody has written it where that is known, with its
// status.
func shownText(o *adminapi.Object) ([]byte, error) {
	var v struct {
		Status json.RawMessage `json:"status,omitempty"`
	}
	if o.Text != "" && json.Unmarshal(o.Value, &v) == nil {
		text := []byte(o.Text)
		if len(v.Status) > 0 {
			status, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if status, err = yaml.JSONToYAML(status); err != nil {
				return nil, err
			}
			text = append(text, status...)
		}
		// What has a form of its own, such as one line in braces, takes no status.
		var root map[string]any
		if err := yaml.Unmarshal(text, &root); err == nil && root["kind"] == o.Kind && (len(v.Status) == 0) == (root["status"] == nil) {
			return text, nil
		}
	}
	return yaml.JSONToYAML(o.Value)
}

// writeObjects prints the objects themselves: one document each in YAML.
func writeObjects(t *term.Terminal, f term.Format, list []adminapi.Object, single bool) error {
	for i := range list {
		if err := addStatus(&list[i]); err != nil {
			return err
		}
	}
	if f == term.JSON {
		values := []json.RawMessage{}
		for _, o := range list {
			values = append(values, o.Value)
		}
		if single {
			return f.Write(t.Out, values[0])
		}
		return f.Write(t.Out, values)
	}
	for i, o := range list {
		text, err := shownText(&o)
		if err != nil {
			return err
		}
		if i > 0 {
			t.Printf("---\n")
		}
		at := placeText(o.Place)
		if o.Revision > 0 {
			at = objects.Origin(o.Revision)
		}
		t.Printf("# %s\n%s\n", at, strings.TrimRight(string(text), "\n"))
	}
	return nil
}

// addStatus puts the status of an object into it.
func addStatus(o *adminapi.Object) error {
	if len(o.Status) == 0 || string(o.Status) == "{}" {
		return nil
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(o.Value, &parts); err != nil {
		return fmt.Errorf("what the gateway says of %s: %w", objectName(*o), err)
	}
	parts["status"] = o.Status
	value, err := json.Marshal(parts)
	o.Value = value
	return err
}

func getClusters(ctx context.Context, t *term.Terminal, a *admin, out *term.Format, name string) error {
	list, err := ask(ctx, a, func(ctx context.Context, c *client.Client) ([]adminapi.Cluster, error) { return c.Clusters(ctx) })
	if err != nil {
		return err
	}
	found := []adminapi.Cluster{}
	for _, c := range list {
		if base, _, _ := strings.Cut(c.Name, "~"); name == "" || c.Name == name || base == name || strings.HasSuffix(base, "/"+name) {
			found = append(found, c)
		}
	}
	if len(found) == 0 && name != "" {
		return clusterNotFound(list, name)
	}
	if *out != term.TableFormat {
		return out.Write(t.Out, found)
	}
	var all []string
	for _, c := range list {
		all = append(all, c.Name)
	}
	shown := clusterNames(all)
	table := term.NewTable("cluster", "balancing", "breaker", "endpoint", "state", "active", "latency", "tries", "failures").Right(5, 6, 7, 8)
	for _, c := range found {
		table.Row(shown[c.Name], c.Algorithm, breakerText(c.Breaker))
		for _, e := range c.Endpoints {
			state := term.Paint(e.State, term.Good)
			if e.State != "healthy" {
				state = term.Paint(e.State, term.Bad)
				if e.EjectedFor > 0 {
					state += fmt.Sprintf(" for %s: %s", top3(e.EjectedFor), e.Cause)
				}
			}
			table.Row("", "", "", e.Address, state, fmt.Sprint(e.Active), top3(e.Latency), fmt.Sprint(e.Tries), fmt.Sprint(e.Failures))
		}
	}
	t.Printf("%s", table)
	return nil
}

func clusterNotFound(list []adminapi.Cluster, name string) error {
	var names []string
	for _, c := range list {
		base, _, _ := strings.Cut(c.Name, "~")
		names = append(names, base[strings.LastIndexByte(base, '/')+1:])
	}
	hint := `"gridway get clusters" lists what there is`
	if near := nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return hintError{Err: fmt.Errorf("the gateway has no cluster %s", name), Hint: hint}
}

func breakerText(s string) string {
	if s == "closed" {
		return s
	}
	return term.Paint(s, term.Bad)
}
