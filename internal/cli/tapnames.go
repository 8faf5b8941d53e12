package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// noteUnknown says which names of filters nothing has: such a filter lets nothing through,
// which looks like no traffic. It is no error, since an object may be made later.
func noteUnknown(ctx context.Context, t *term.Terminal, c *client.Client, q url.Values) {
	ends := map[string]string{"route": "Route", "policy": "Policy", "consumer": "Consumer"}
	asked := false
	for parameter := range ends {
		asked = asked || len(q[parameter]) > 0
	}
	if !asked {
		return
	}
	list, err := c.Objects(ctx, "", false)
	if err != nil || len(list) == 0 { // a sidecar has none, and the tap tells of other errors
		return
	}
	for _, parameter := range []string{"route", "policy", "consumer"} {
		for _, name := range q[parameter] {
			if text := unknownName(list, parameter, ends[parameter], name); text != "" {
				t.Errorf("%s %s\n", term.Paint("note:", term.Warn), text)
			}
		}
	}
}

// unknownName is what there is to say of NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME if no
// object is meant by it. Kinds end in end.
func unknownName(list []adminapi.Object, what, end, name string) string {
	var names []string
	for _, o := range list {
		if !strings.HasSuffix(o.Kind, end) {
			continue
		}
		if name == o.Name || name == o.Namespace+"/"+o.Name || name == o.Kind+"/"+o.Namespace+"/"+o.Name {
			return ""
		}
		names = append(names, o.Name)
	}
	hint := ""
	if near := nearest(name[strings.LastIndexByte(name, '/')+1:], names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Sprintf("the gateway has no %s %s, so that nothing passes the filter until there is one%s", what, harmless(name), hint)
}
