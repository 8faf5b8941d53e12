package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/demo"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// tour is the demo's set: its files, and what it says to try. A test runs every command
// of it.
type tour struct {
	ports   demoPorts
	flags   *demoFlags
	edge    demo.Edge
	kit     *kit
	back    string // the folder of what is of this run alone
	grpcurl bool
	curl    []string // what the curl of this machine can do
}

// tokenFile has the token of the admin API, in the back.
const tokenFile = "token"

// prepare makes keys and writes the files.
func (u *tour) prepare(shop *demo.Shop) error {
	cert, err := demo.NewCertificate(time.Now())
	if err != nil {
		return err
	}
	partners, err := demo.NewPartners()
	if err != nil {
		return err
	}
	u.kit, err = u.flags.write(map[string]string{
		shopFile: shop.Config(u.ports.Ports), certFile: cert.Secret() + "---\n" + partners.Signing(), partnersFile: partners.Consumers(), protoFile: demo.StockProto,
	})
	u.edge = demo.Edge{
		Plain: fmt.Sprintf("http://127.0.0.1:%d", u.ports.Public), Secure: fmt.Sprintf("https://127.0.0.1:%d", u.ports.Secure), Trust: cert.Pool,
		Calls: fmt.Sprintf("http://127.0.0.1:%d", u.ports.Calls), Partners: partners,
	}
	return err
}

// options are those of the edge and control plane.
func (u *tour) options(t *term.Terminal) (app.Options, error) {
	if u.flags.StateDir == "" {
		u.flags.StateDir = u.back
	}
	o, err := u.flags.options(t)
	if err != nil {
		return o, err
	}
	o.DrainTimeout = min(o.DrainTimeout, 5*time.Second)
	o.Source = app.Files([]string{u.kit.path(shopFile), u.kit.path(certFile), u.kit.path(partnersFile)}, file.Options{})
	o.ShowTokens = u.keepToken
	td, err := identity.ParseTrustDomain(defaultTrustDomain)
	if err != nil {
		return o, err
	}
	o.Mesh = &app.Mesh{Listen: fmt.Sprintf("127.0.0.1:%d", u.ports.mesh), TrustDomain: td, Lifetime: ca.DefaultLifetime, Rotation: ca.DefaultRotation}
	return o, nil
}

// keepToken puts an admin's token where the commands that are printed find it.
func (u *tour) keepToken(list []access.CreatedToken) error {
	for _, c := range list {
		if c.Role == access.Admin {
			return os.WriteFile(filepath.Join(u.back, tokenFile), []byte(c.Text+"\n"), 0o600)
		}
	}
	return nil
}

func (u *tour) print(t *term.Terminal, g *app.Gateway, f *fleet) {
	base, admin := u.edge.Plain, ""
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
	row("mesh", g.MeshAddr().String(), fmt.Sprintf("%d workloads, each with a sidecar: mutual TLS between all of them", len(demo.Instances())))
	t.Printf("%s\n", table)
	if a := g.AdminAddr(); a != nil {
		// The link is too long for a column of the table.
		t.Printf("  %s    http://%s%s%s\n\n", term.Paint("console", term.Good), a, adminapi.ConsolePath, u.login())
	}
	if len(u.ports.taken) > 0 {
		t.Printf("%s\n\n", takenHint(u.ports.taken))
	}
	if u.flags.noTraffic {
		t.Printf("No customers: send requests yourself.\n\n")
	} else {
		t.Printf("Customers send %d requests per second. In another terminal, try:\n\n", u.flags.rate)
	}
	if token := filepath.Join(u.back, tokenFile); exists(token) {
		t.Printf("  %s\n  export GRIDWAY_TOKEN=$(cat %s)\n", term.Paint("# the admin API asks for a token", term.Faint), token)
	}
	self := ownName()
	for _, s := range u.scenes(admin, f) {
		t.Printf("\n  %s\n", term.Paint(s.title, term.Bold))
		for _, c := range s.commands {
			t.Printf("  %s\n", term.Paint("# "+c.about, term.Faint))
			t.Printf("  %s\n", strings.ReplaceAll(c.line, "gridway ", self+" "))
		}
	}
	keep := "It is removed when the demo ends; --dir keeps one."
	if u.flags.dir != "" {
		keep = "It is kept."
	}
	t.Printf("\nThe configuration is %s. %s\n%s\n", term.Paint(u.kit.path(shopFile), term.Bold), keep, stopHint(u.flags))
}

// login is what a link to the console logs in with. The token ends with the demo.
func (u *tour) login() string {
	token, err := os.ReadFile(filepath.Join(u.back, tokenFile))
	if err != nil {
		return "" // the console asks for it, then
	}
	return "#token=" + strings.TrimSpace(string(token))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

type scene struct {
	title    string
	commands []step
}

type step struct{ line, about string }

// scenes are what works on this machine.
func (u *tour) scenes(admin string, f *fleet) []scene {
	return []scene{{"The front door", u.door(admin)}, {"Between services", u.hallway(admin, f)}, {"Partners", u.partners(admin)}, {"Other protocols", u.protocols()}}
}

func (u *tour) door(admin string) []step {
	base := u.edge.Plain
	return []step{
		{"gridway top" + admin, "rate, errors and latency of each route, live"},
		{"curl -i " + base + "/api/products/lamp-01", "a product, with its stock from the inventory"},
		{fmt.Sprintf(`for i in $(seq 20); do curl -si %s/api/reviews/lamp-01 | grep -i x-served-by; done | sort | uniq -c`, base), "the canary: one of ten sees version 2"},
		{fmt.Sprintf(`gridway explain%s GET %s/api/reviews/lamp-01 -H "X-Canary: always"`, admin, base), "unless one asks for it: why a request goes where it goes"},
		{fmt.Sprintf("sed -i 's/weight: 90/weight: 50/; s/weight: 10/weight: 50/' %s && gridway status%s", u.kit.path(shopFile), admin), "half and half, while it runs: who serves the new revision"},
		{"curl -si -A sqlmap " + base + "/api/products", "a tool that looks for holes finds none"},
	}
}

func (u *tour) hallway(admin string, f *fleet) []step {
	shop := u.kit.path(shopFile)
	return []step{
		{"gridway status" + admin, "each sidecar, and which revision it serves"},
		{"gridway cert" + admin, "who is who: certificates of an hour, renewed at the half, and the root"},
		{"gridway routes --admin unix:" + f.adminSocket("catalog-1"), "what a sidecar knows: the routes of the services that the catalog asks"},
		{"gridway tap --to inventory --direction inbound --max 10" + admin, "who asks the inventory, live, as its sidecar sees it"},
		{"gridway get clusters" + admin, "who is healthy behind the edge"},
		{"gridway explain --from catalog GET http://reviews/api/reviews/lamp-01 --file " + shop, "the same canary, for the catalog as for customers"},
		{fmt.Sprintf(`curl -si -X PUT -H 'Content-Type: application/json' -d '{"count":1}' %s/api/stock/lamp-01/reserve`, u.edge.Plain), "the edge may look at the stock, and take nothing: the inventory's sidecar knows who asks"},
		{"gridway explain --from orders PUT http://inventory/stock/lamp-01/reserve --file " + shop, "the orders may"},
		{"curl -sN " + u.edge.Plain + "/live/orders | grep invoice", "payments fail for 8 s of each half minute: orders are on invoice then"},
		{"gridway get clusters --admin unix:" + f.adminSocket("orders"), "as the sidecar of the orders has opened its breaker"},
		{fmt.Sprintf("kill -9 %d", f.pid("catalog-2")), "the sidecar of catalog-2 is gone: no customer notices"},
	}
}

func (u *tour) partners(admin string) []step {
	base := u.edge.Plain
	return []step{
		{"curl -i " + base + "/api/partner/products/lamp-01", "the partners' API asks who calls"},
		{fmt.Sprintf(`for i in $(seq 20); do curl -so /dev/null -w '%%{http_code}\n' -H 'X-API-Key: %s' %s/api/partner/products/lamp-01; done | sort | uniq -c`, u.edge.Partners.Trial, base), "a partner with a trial plan gets one a second, and five at once"},
		{fmt.Sprintf(`curl -si -H 'X-API-Key: %s' %s/api/partner/reviews/lamp-01`, u.edge.Partners.Trial, base), "and may not read reviews, which are for dealers"},
		{fmt.Sprintf(`curl -ks -u %s:%s -d grant_type=client_credentials %s/partners/oauth2/token`, demo.GoldClient, u.edge.Partners.Secret, u.edge.Secure), "a partner's program gets an access token, which does for a key"},
		{"gridway consumer list" + admin, "the partners, and when they used their keys"},
	}
}

func (u *tour) protocols() []step {
	secure := u.edge.Secure
	list := []step{
		{fmt.Sprintf(`curl -H 'Content-Type: application/json' -d '{"id":"lamp-01"}' %s/shop.v1.Stock/Get`, u.edge.Calls), "a service that speaks gRPC, called by Connect"},
	}
	if u.grpcurl {
		list = append(list, step{fmt.Sprintf("grpcurl -plaintext -import-path %s -proto %s %s shop.v1.Stock/Watch", u.kit.dir, protoFile, strings.TrimPrefix(u.edge.Calls, "http://")), "and by gRPC: each change of the stock"})
	}
	list = append(list, step{"curl -N " + u.edge.Plain + "/live/orders", "each order, as a server-sent event"})
	if slices.Contains(u.curl, "HTTP2") {
		list = append(list, step{"curl -ki --http2 " + secure + "/api/products/lamp-01", "HTTP/2; Alt-Svc offers HTTP/3"})
	}
	if slices.Contains(u.curl, "HTTP3") {
		list = append(list, step{"curl -ki --http3 " + secure + "/api/products/lamp-01", "and HTTP/3"})
	}
	return list
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
