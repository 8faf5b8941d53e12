// Package arch proves the layer rules: who may import whom. A rule that fails
// here is changed only together with docs/architecture.md.
package arch

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gridway/gridway/"

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

// rule bounds what packages below a folder may import.
type rule struct {
	name string
	// of is a folder prefix; except are folders inside it with rules of their own.
	of     string
	except []string
	// allow lists module folders that may be imported directly; nil allows all.
	allow []string
	// external lists the only packages from outside the module and the standard
	// library that may be imported directly; nil allows all.
	external []string
	// never lists what must not even be reached indirectly: a module folder, or
	// an import path from elsewhere.
	never []string
}

// controlPlane is what proxies alone are without: objects and their compiler, the state
// store, the mesh's authority, issuers of certificates, and what these are made of.
var controlPlane = []string{
	"api", "internal/config/compile", "internal/config/decode", "internal/config/schema", "internal/config/store", "internal/config/source/file",
	"internal/config/source/acme", "internal/statedb", "internal/manage/access/accessdb", "internal/manage/membership/membershipdb", "internal/manage/objects/objectsdb", "internal/manage/leasing",
	"internal/manage/election", "internal/mesh/admit", "internal/mesh/ca", "internal/mesh/registry", "internal/mesh/evidence/collect",
	"k8s.io", "sigs.k8s.io", "modernc.org", "github.com/jackc", "github.com/pressly",
}

var rules = []rule{
	{
		name: "ir is plain data: standard library only",
		of:   "internal/ir", allow: []string{}, external: []string{},
	},
	{
		name: "wire knows bytes, never routes", of: "internal/wire",
		except:   []string{"internal/wire/tlsx"},
		allow:    []string{"internal/wire"},
		external: []string{"golang.org/x/sys"},
		never:    []string{"internal/ir", "internal/proxy", "internal/config", "api", "k8s.io"},
	},
	{
		name: "tlsx takes its settings from ir", of: "internal/wire/tlsx",
		allow: []string{"internal/wire", "internal/ir"}, external: []string{"golang.org/x/crypto/ocsp", "golang.org/x/sys"},
		never: []string{"internal/proxy", "internal/config", "api", "k8s.io"},
	},
	{
		name: "the data plane is free of the control plane", of: "internal/proxy",
		except: []string{"internal/proxy/filters", "internal/proxy/filter"},
		allow:  []string{"internal/ir", "internal/wire", "internal/proxy", "internal/telemetry", "internal/mesh/identity", "internal/transcoding", "internal/password", "internal/jwt", "internal/netset", "internal/jsonlimit", "internal/expression", "internal/budget", "internal/x500", "internal/httpsig", "internal/seal"},
		never:  []string{"internal/config", "internal/surface", "internal/cli", "internal/app", "internal/statedb", "internal/manage", "api", "k8s.io", "sigs.k8s.io", "modernc.org", "github.com/jackc", "github.com/pressly"},
	},
	{
		name: "filters see the exchange and nothing behind it", of: "internal/proxy/filters",
		allow: []string{"internal/ir", "internal/wire/httpmsg", "internal/wire/grpc", "internal/proxy/filter", "internal/proxy/filters", "internal/proxy/callout", "internal/proxy/clientcert", "internal/proxy/consumer", "internal/proxy/limit", "internal/proxy/accesslist", "internal/proxy/token", "internal/proxy/login", "internal/proxy/issuing", "internal/proxy/extauthz", "internal/transcoding", "internal/password", "internal/jwt", "internal/netset", "internal/jsonlimit", "internal/expression", "internal/httpsig"},
		never: []string{"internal/proxy/pipeline", "internal/proxy/upstream", "internal/config", "api", "k8s.io"},
	},
	{
		name: "compile is a pure function of objects", of: "internal/config/compile",
		allow: []string{"api", "internal/ir", "internal/config", "internal/transcoding", "internal/password", "internal/jwt", "internal/netset", "internal/expression", "internal/x500", "internal/httpsig"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app", "k8s.io/client-go", "net/http/httptest"},
	},
	{
		name: "sources fill the store", of: "internal/config/source",
		allow: []string{"api", "internal/ir", "internal/config", "internal/statedb", "internal/seal"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app", "k8s.io/client-go"},
	},
	{
		name: "transcoding knows Protocol Buffers alone", of: "internal/transcoding",
		allow: []string{}, external: []string{"google.golang.org/protobuf", "google.golang.org/genproto/googleapis"},
	},
	{
		name: "passwords know nothing of whose they are", of: "internal/password",
		allow: []string{}, external: []string{"golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt"},
	},
	{
		name: "expressions know the names of facts, not where they come from", of: "internal/expression",
		allow: []string{}, external: []string{"cel.dev/cel-go"},
	},
	{
		name: "budgets are arithmetic", of: "internal/budget",
		allow: []string{}, external: []string{},
	},
	{
		name: "sets of networks know nothing of what they are for", of: "internal/netset",
		allow: []string{}, external: []string{},
	},
	{
		name: "bounds of JSON know nothing of whose text it is", of: "internal/jsonlimit",
		allow: []string{}, external: []string{},
	},
	{
		name: "names know nothing of certificates", of: "internal/x500",
		allow: []string{}, external: []string{},
	},
	{
		name: "signatures of messages know neither routes nor callers", of: "internal/httpsig",
		allow: []string{}, external: []string{},
	},
	{
		name: "memory is given back without knowing whose", of: "internal/resident",
		allow: []string{}, external: []string{"golang.org/x/sys/unix"},
	},
	{
		name: "what is sealed is bytes", of: "internal/seal",
		allow: []string{}, external: []string{},
	},
	{
		name: "tokens are bytes and keys", of: "internal/jwt",
		allow: []string{}, external: []string{},
	},
	{
		name: "who runs an application knows nothing of the mesh", of: "internal/mesh/supervise",
		allow: []string{}, external: []string{"golang.org/x/sys"},
	},
	{
		name: "declarations of workloads are files", of: "internal/mesh/declared",
		allow: []string{"internal/mesh/identity"}, external: []string{"go.yaml.in/yaml/v3"},
	},
	{
		name: "interception knows sockets and rules of the kernel alone", of: "internal/mesh/intercept",
		allow: []string{}, external: []string{"golang.org/x/sys", "github.com/google/nftables", "github.com/mdlayher/netlink"},
	},
	{
		name: "the responder knows names and addresses alone", of: "internal/mesh/nameserver",
		allow: []string{}, external: []string{"github.com/miekg/dns"},
	},
	{
		name: "handing over knows nothing of what is handed over", of: "internal/handover",
		allow: []string{}, external: []string{"golang.org/x/sys"},
	},
	{
		name: "the admin API carries what others keep", of: "internal/surface/adminapi",
		allow: []string{"internal/ir", "internal/proxy/dryrun", "internal/telemetry", "internal/effect/delta", "internal/effect/replay", "internal/manage/access", "internal/manage/membership", "internal/manage/objects", "internal/mesh/evidence", "internal/mesh/identity", "internal/mesh/question", "internal/mesh/meshpb", "internal/mesh/signals", "internal/surface/signin"},
		never: controlPlane,
	},
	{
		name: "effects are reckoned beside what serves", of: "internal/effect", except: []string{"internal/effect/between", "internal/effect/delta", "internal/effect/replay"},
		allow: []string{"internal/config", "internal/effect", "internal/ir", "internal/proxy/dryrun", "internal/surface/adminapi", "internal/telemetry/trace"},
		never: []string{"internal/cli", "internal/app", "internal/statedb"},
	},
	{
		name: "what passes between services is decided without a proxy", of: "internal/effect/between",
		allow: []string{"internal/ir", "internal/mesh/view", "internal/proxy/dryrun", "internal/proxy/vouch"}, external: []string{},
	},
	{
		name: "how configurations differ is told of what was compiled", of: "internal/effect/delta",
		allow: []string{"internal/ir", "internal/proxy/dryrun"}, external: []string{},
		never: controlPlane,
	},
	{
		name: "what has passed is decided again without a proxy", of: "internal/effect/replay",
		allow: []string{"internal/effect/delta", "internal/ir", "internal/proxy/dryrun", "internal/proxy/filter", "internal/telemetry"}, external: []string{},
		never: controlPlane,
	},
	{
		name: "people log in by what the data plane knows of OpenID", of: "internal/surface/signin",
		allow: []string{"internal/ir", "internal/jwt", "internal/manage/access", "internal/proxy/filter", "internal/proxy/keyset", "internal/proxy/login"}, external: []string{"go.yaml.in/yaml/v3"},
		never: controlPlane,
	},
	{
		name: "what is managed reaches proxies as objects", of: "internal/manage",
		allow: []string{"api", "internal/ir", "internal/config", "internal/statedb", "internal/seal", "internal/budget", "internal/mesh/ca", "internal/mesh/identity", "internal/mesh/jointoken"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app"},
	},
	{
		name: "the state store knows tables alone", of: "internal/statedb",
		allow: []string{}, external: []string{"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "golang.org/x/sys", "modernc.org/sqlite"},
	},
	{
		name: "messages of the mesh are generated", of: "internal/mesh/meshpb",
		allow: []string{}, external: []string{"google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		name: "the registry knows workloads, and makes objects of them", of: "internal/mesh/registry",
		allow: []string{"internal/config/store", "internal/mesh/distrib", "internal/mesh/identity", "internal/statedb"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app", "internal/config/compile"},
	},
	{
		name: "what proxies serve is known by what distribution and other control planes say", of: "internal/mesh/fleet",
		allow: []string{"internal/mesh/distrib", "internal/mesh/troubles", "internal/statedb"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "internal/cli", "internal/app"},
	},
	{
		name: "a member of a mesh has its configuration from a control plane", of: "internal/member",
		never: append([]string{"internal/surface", "internal/cli", "internal/app", "internal/manage"}, controlPlane...),
	},
	{
		name: "commands that join a mesh reach no control plane's parts", of: "internal/cli/members",
		never: append([]string{"internal/config/issuance", "internal/mesh/federation", "internal/mesh/peering", "internal/mesh/suggest", "internal/mesh/view", "internal/surface/console", "internal/surface/portal"}, controlPlane...),
	},
	{
		name: "the small binary is the commands that join a mesh", of: "cmd/gridway-proxy",
		allow: []string{"internal/cli/members"}, external: []string{},
	},
	{
		name: "how a data plane does is told without a control plane", of: "internal/app/live",
		never: controlPlane,
	},
	{
		name: "views are made of what was compiled", of: "internal/mesh/view",
		allow: []string{"internal/ir", "internal/mesh/distrib", "internal/mesh/hostname", "internal/mesh/identity", "internal/mesh/registry"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app", "internal/config/compile"},
	},
	{
		name: "who reports traffic knows a control plane by the protocol alone", of: "internal/mesh/report",
		allow: []string{"internal/mesh/meshpb", "internal/telemetry/flow", "internal/telemetry/latency", "internal/telemetry/signal", "internal/telemetry/stripe", "internal/telemetry/trouble"},
	},
	{
		name: "troubles are put together, wherever they were seen", of: "internal/mesh/troubles",
		allow: []string{"internal/telemetry/trouble"},
	},
	{
		name: "the table of the service graph knows neither proxies nor the state store", of: "internal/mesh/signals",
		allow: []string{"internal/telemetry/latency", "internal/telemetry/signal", "internal/telemetry/stripe"},
	},
	{
		name: "the history of the service graph is rows of a table and of the state store", of: "internal/mesh/history",
		allow: []string{"internal/mesh/meshpb", "internal/mesh/report", "internal/mesh/signals", "internal/statedb", "internal/telemetry/signal"},
	},
	{
		name: "control planes reach each other without knowing what they are made of", of: "internal/mesh/replica",
		allow: []string{"internal/mesh/identity", "internal/mesh/meshpb", "internal/mesh/question", "internal/mesh/report", "internal/mesh/signals", "internal/telemetry/signal"},
	},
	{
		name: "questions are carried, not understood", of: "internal/mesh/question",
		allow: []string{"internal/mesh/meshpb"},
	},
	{
		name: "who observes asks data planes, and knows no store", of: "internal/observe",
		allow: []string{"internal/mesh/question", "internal/telemetry"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "internal/statedb", "internal/manage", "api", "k8s.io"},
	},
	{
		name: "evidence of traffic is kept, not judged", of: "internal/mesh/evidence",
		allow: []string{"internal/mesh/identity", "internal/mesh/meshpb", "internal/statedb"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "api", "k8s.io"},
	},
	{
		name: "policies are suggested from evidence alone", of: "internal/mesh/suggest",
		allow: []string{"api", "internal/mesh/evidence", "internal/telemetry/flow"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "internal/cli", "internal/app"},
	},
	{
		name: "peers know what may be used of each other, and no proxies", of: "internal/mesh/peering",
		allow: []string{"internal/ir", "internal/mesh/distrib", "internal/mesh/identity", "internal/mesh/meshpb", "internal/mesh/registry", "internal/mesh/view"},
		never: []string{"internal/proxy", "internal/surface", "internal/cli", "internal/app", "internal/config/compile", "internal/statedb/statetest"},
	},
	{
		name: "distribution knows resources, not what they are for", of: "internal/mesh/distrib",
		allow: []string{"internal/ir", "internal/mesh/meshpb"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "internal/statedb", "internal/manage", "api", "k8s.io"},
	},
	{
		name: "the mesh's authority knows the state store and identities alone", of: "internal/mesh/ca",
		allow: []string{"internal/mesh/identity", "internal/seal", "internal/statedb"}, external: []string{"github.com/go-jose/go-jose/v4"},
	},
	{
		name: "join tokens know neither stores nor networks", of: "internal/mesh/jointoken",
		allow: []string{"internal/mesh/identity"}, external: []string{},
	},
	{
		name: "who joins knows a control plane by the protocol alone", of: "internal/mesh/join",
		allow: []string{"internal/mesh/identity", "internal/mesh/jointoken", "internal/mesh/meshpb"},
		never: []string{"internal/statedb", "internal/mesh/ca", "internal/mesh/admit", "database/sql", "internal/config", "internal/proxy"},
	},
	{
		name: "admission stands between the authority and who joins", of: "internal/mesh/admit",
		allow: []string{"internal/mesh/ca", "internal/mesh/identity", "internal/mesh/jointoken", "internal/mesh/meshpb", "internal/jwt", "internal/seal", "internal/statedb"},
		never: []string{"internal/config", "internal/proxy", "internal/surface", "internal/manage", "api", "k8s.io"},
	},
	{
		name: "the Workload API gives out what a keyring has", of: "internal/mesh/workloadapi",
		allow: []string{"internal/mesh/identity"},
	},
	{
		name: "federation exchanges bundles and knows nobody in them", of: "internal/mesh/federation",
		allow: []string{"internal/mesh/identity"}, external: []string{"go.yaml.in/yaml/v3"},
	},
	{
		name: "who a workload is depends on nothing of Gridway", of: "internal/mesh/identity",
		allow: []string{}, external: []string{"github.com/go-jose/go-jose/v4", "github.com/spiffe/go-spiffe/v2/spiffeid", "github.com/spiffe/go-spiffe/v2/bundle"},
	},
	{
		name: "telemetry does not know the control plane", of: "internal/telemetry",
		never: []string{"internal/config", "internal/surface", "internal/cli", "internal/app", "api", "k8s.io"},
	},
}

func TestLayers(t *testing.T) {
	pkgs := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range pkgs {
				if r.covers(p.ImportPath) {
					r.check(t, p)
				}
			}
		})
	}
}

// Engines know their own protocol; the drivers choose among them.
func TestEnginesAreIndependent(t *testing.T) {
	engines := []string{"h1", "hpack", "h2", "h3", "ws", "l4"}
	for _, p := range load(t) {
		from := engineOf(p.ImportPath, engines)
		for _, imp := range p.Imports {
			to := engineOf(imp, engines)
			if from == "" || to == "" || from == to || (from == "h2" || from == "h3") && to == "hpack" {
				continue
			}
			t.Errorf("%s imports %s: engines never import each other, except h2 and h3 their hpack", p.ImportPath, imp)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, p := range load(t) {
		name := p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:]
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "base", "types", "misc"}, name) {
			t.Errorf("%s: the name says nothing about what is inside", p.ImportPath)
		}
	}
}

func (r *rule) covers(path string) bool {
	for _, e := range r.except {
		if under(path, e) {
			return false
		}
	}
	return under(path, r.of)
}

func (r *rule) check(t *testing.T, p pkg) {
	t.Helper()
	for _, imp := range p.Imports {
		switch {
		case strings.HasPrefix(imp, module):
			if r.allow != nil && !slices.ContainsFunc(r.allow, func(f string) bool { return under(imp, f) }) && !under(imp, r.of) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		case strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
			if r.external != nil && !slices.ContainsFunc(r.external, func(f string) bool { return within(imp, f) }) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
	for _, dep := range p.Deps {
		for _, n := range r.never {
			if under(dep, n) || within(dep, n) {
				t.Errorf("%s reaches %s", p.ImportPath, dep)
			}
		}
	}
}

// under tells whether a path of this module is the folder or inside it.
func under(path, folder string) bool {
	rel, ok := strings.CutPrefix(path, module)
	return ok && within(rel, folder)
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func engineOf(path string, engines []string) string {
	for _, e := range engines {
		if under(path, "internal/wire/"+e) {
			return e
		}
	}
	return ""
}

func load(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,Standard", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) {
			pkgs = append(pkgs, p)
		}
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages of the module; the rules would prove nothing", len(pkgs))
	}
	return pkgs
}
