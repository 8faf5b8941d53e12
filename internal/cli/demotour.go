package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/demo"
)

// tour is what the demo says to try. A test runs every command of it.
type tour struct {
	edge    demo.Edge
	taken   []int // usual ports that were not free
	kit     *kit
	flags   *demoFlags
	grpcurl bool
	curl    []string // what the curl of this machine can do
}

func (u *tour) print(t *term.Terminal, g *app.Gateway) {
	f, base, admin := u.flags, u.edge.Plain, ""
	t.Printf("%s\n\n", term.Paint("The Gridway demo shop is open.", term.Good))
	table := term.NewTable().Indent("  ")
	row := func(name, where, about string) { table.Row(term.Paint(name, term.Bold), where, about) }
	row("edge", base, "the shop, for its customers")
	row("", u.edge.Secure, "the same with TLS: HTTP/2, and HTTP/3 on UDP")
	row("", u.edge.Calls, "its warehouse: gRPC, gRPC-Web and Connect")
	row("live", base+"/live", "for a browser: stock by WebSocket, orders by server-sent events")
	if a := g.AdminAddr(); a != nil {
		admin = adminArgument(a)
		row("admin API", "http://"+a.String(), "status, metrics, explain")
	}
	t.Printf("%s\n", table)
	if len(u.taken) > 0 {
		t.Printf("%s\n\n", takenHint(u.taken))
	}
	if f.noTraffic {
		t.Printf("No customers: send requests yourself.\n\n")
	} else {
		t.Printf("Customers send %d requests per second. In another terminal, try:\n\n", f.rate)
	}
	self := ownName()
	for _, c := range u.commands(admin) {
		t.Printf("  %s\n", term.Paint("# "+c.about, term.Faint))
		t.Printf("  %s\n", strings.ReplaceAll(c.line, "gridway ", self+" "))
	}
	keep := "It is removed when the demo ends; --dir keeps one."
	if f.dir != "" {
		keep = "It is kept."
	}
	t.Printf("\nThe configuration is %s. %s\n%s\n", term.Paint(u.kit.path(shopFile), term.Bold), keep, stopHint(f))
}

type command struct{ line, about string }

// commands are those that work on this machine.
func (u *tour) commands(admin string) []command {
	base, secure := u.edge.Plain, u.edge.Secure
	list := []command{
		{"gridway top" + admin, "rate, errors and latency of each route, live"},
		{"gridway get clusters" + admin, "who is healthy behind the gateway (inventory-2 has bad spells)"},
		{"curl -i " + base + "/api/products/lamp-01", "a product, with its stock from the inventory"},
		{fmt.Sprintf(`for i in $(seq 20); do curl -si %s/api/reviews/lamp-01 | grep -i x-served-by; done | sort | uniq -c`, base), "the canary: one of ten sees version 2"},
		{fmt.Sprintf(`gridway explain%s GET %s/api/reviews/lamp-01 -H "X-Canary: always"`, admin, base), "unless one asks for it: why a request goes where it goes"},
		{"curl -i " + base + "/api/partner/products/lamp-01", "the partners' API asks who calls"},
		{fmt.Sprintf(`for i in $(seq 20); do curl -so /dev/null -w '%%{http_code}\n' -H 'X-API-Key: %s' %s/api/partner/products/lamp-01; done | sort | uniq -c`, u.edge.Partners.Trial, base), "a partner with a trial plan gets one a second, and five at once"},
		{fmt.Sprintf(`curl -ks -u %s:%s -d grant_type=client_credentials %s/partners/oauth2/token`, demo.GoldClient, u.edge.Partners.Secret, u.edge.Secure), "a partner's program gets an access token, which does for a key"},
		{"gridway consumer list" + admin, "the partners, and when they used their keys"},
		{fmt.Sprintf(`curl -si -H 'X-API-Key: %s' %s/api/partner/reviews/lamp-01`, u.edge.Partners.Trial, base), "and may not read reviews, which are for dealers"},
		{"curl -si -A sqlmap " + base + "/api/products", "a tool that looks for holes finds none"},
		{fmt.Sprintf(`curl -H 'Content-Type: application/json' -d '{"id":"lamp-01"}' %s/shop.v1.Stock/Get`, u.edge.Calls), "a service that speaks gRPC, called by Connect"},
	}
	if u.grpcurl {
		list = append(list, command{fmt.Sprintf("grpcurl -plaintext -import-path %s -proto %s %s shop.v1.Stock/Watch", u.kit.dir, protoFile, strings.TrimPrefix(u.edge.Calls, "http://")), "and by gRPC: each change of the stock"})
	}
	list = append(list, command{"curl -N " + base + "/live/orders", "each order, as a server-sent event"})
	if slices.Contains(u.curl, "HTTP2") {
		list = append(list, command{"curl -ki --http2 " + secure + "/api/products/lamp-01", "HTTP/2; Alt-Svc offers HTTP/3"})
	}
	if slices.Contains(u.curl, "HTTP3") {
		list = append(list, command{"curl -ki --http3 " + secure + "/api/products/lamp-01", "and HTTP/3"})
	}
	return append(list, command{fmt.Sprintf("sed -i 's/weight: 90/weight: 50/; s/weight: 10/weight: 50/' %s && gridway status%s", u.kit.path(shopFile), admin), "change the canary to half and half while it runs"})
}

func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// curlFeatures asks this machine's curl what it can do, which takes it some milliseconds.
func curlFeatures(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "curl", "--version").Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		if list, ok := strings.CutPrefix(line, "Features:"); ok {
			return strings.Fields(list)
		}
	}
	return nil
}

// takenHint says why ports are not the usual ones.
func takenHint(ports []int) string {
	var list []string
	for _, p := range ports {
		list = append(list, strconv.Itoa(p))
	}
	if len(list) == 1 {
		return "Port " + list[0] + " is taken, by another demo perhaps; a free one took its place."
	}
	return "Ports " + strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1] + " are taken, by another demo perhaps; free ones took their places."
}

func stopHint(f *demoFlags) string {
	if f.duration > 0 {
		return fmt.Sprintf("The demo ends after %s.", f.duration)
	}
	return "Ctrl-C ends the demo."
}

// ownName is how this program can be called again: by its name if it is in the
// PATH, else by its file.
func ownName() string {
	if has("gridway") {
		return "gridway"
	}
	if file, err := os.Executable(); err == nil {
		return file
	}
	return "gridway"
}
