package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// completionPatience bounds how long a shell waits for a gateway.
const completionPatience = 500 * time.Millisecond

// completeGet completes kinds, and names with the place they were written at.
// Without a gateway that answers there are no names to offer.
func completeGet(a *admin, namespace *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var kind string
		name, joined := typed, false
		switch {
		case len(args) == 0:
			if kind, name, joined = strings.Cut(typed, "/"); !joined {
				return kindsOffered, cobra.ShellCompDirectiveNoFileComp
			}
		case len(args) == 1 && !strings.Contains(args[0], "/"):
			kind = args[0]
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		out := namesOf(ctx, a, strings.ToLower(kind), *namespace, strings.Contains(name, "/"))
		for i := range out {
			if joined {
				out[i] = kind + "/" + out[i]
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf lists the objects of a kind. A name that several namespaces have, or
// all where they are asked for, stand behind their namespace.
func namesOf(ctx context.Context, a *admin, kind, namespace string, full bool) []cobra.Completion {
	if kind == "cluster" || kind == "clusters" {
		list, err := ask(ctx, a, func(ctx context.Context, c *client.Client) ([]adminapi.Cluster, error) { return c.Clusters(ctx) })
		if err != nil {
			return nil
		}
		var out []cobra.Completion
		for _, c := range list {
			out = append(out, c.Name)
		}
		return out
	}
	list, err := ask(ctx, a, func(ctx context.Context, c *client.Client) ([]adminapi.Object, error) {
		return c.Objects(ctx, "", false)
	})
	if err != nil {
		return nil
	}
	found := selectObjects(list, kind, namespace, "")
	times := map[string]int{}
	for _, o := range found {
		times[o.Name]++
	}
	var out []cobra.Completion
	for _, o := range found {
		name := o.Name
		if o.Namespace != "" && (full || times[name] > 1) {
			name = o.Namespace + "/" + name
		}
		out = append(out, cobra.CompletionWithDesc(name, placeText(o.Place)))
	}
	slices.Sort(out)
	return out
}
