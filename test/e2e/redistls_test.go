package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

// account is what docs/guides/rate-limits.md says that a gateway needs of Redis.
const account = "gateway on >%s ~gridway:* resetchannels -@all +evalsha +eval +get +set +time +ping +hello +client"

// secretText is a Secret with one entry.
func secretText(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {key: %q}\n", name, value)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// storeState is what the gateway says of its one store of limits.
func (g *gateway) storeState() proxy.RateLimitStoreState {
	g.t.Helper()
	list := g.proxy.RateLimitStores()
	if len(list) != 1 {
		g.t.Fatalf("%d stores", len(list))
	}
	return list[0]
}

// TestRedisOverTLS: a Redis that speaks TLS, wants a certificate and a login, and lets
// the account do no more than the page says. What is wrong shows, without secrets, and
// mending it takes no restart.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	const password = "open-sesame-17"
	ca, stranger := newAuthority(t, "redis"), newAuthority(t, "stranger")
	cert, key := ca.issue("redis.internal")
	server, addr := redistest.StartTLS(t, writeFile(t, "cert", cert), writeFile(t, "key", key), writeFile(t, "ca", ca.pem),
		append([]string{"--user"}, strings.Fields(fmt.Sprintf(account, password))...)...)
	app := saysOK(t)
	config := func(password, name string, verify, client *authority) string {
		clientCert, clientKey := client.issue("gateway")
		return limited(app, `
- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 5, window: Month}, global: {storeRef: {name: shared}, timeout: 5s, onError: Deny}}
- {name: at-once, concurrency: 50, global: {storeRef: {name: shared}, timeout: 5s, onError: Deny}}
`, storeDoc("shared", fmt.Sprintf(`redis:
  addresses: [%q]
  username: gateway
  passwordSecretRef: {name: login}
  tls:
    serverName: %s
    caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]
    clientCertificateRef: {group: "", kind: Secret, name: client}`, addr, name)),
			secretText("login", password), caDoc("ca", verify.pem), secretDoc("client", clientCert, clientKey))
	}
	good := config(password, "redis.internal", ca, ca)
	g, other := serveYAML(t, good), serveYAML(t, good)
	passed := 0
	for range 4 {
		for _, one := range []*gateway{g, other} {
			if resp, _ := one.get("/", header("X-Tenant", "a")); resp.StatusCode == 200 {
				passed++
			}
		}
	}
	if passed != 5 {
		t.Errorf("%d of 5 have passed", passed)
	}
	if s := g.storeState(); !s.Up || s.Error != "" || s.Kind != "redis" || g.metric("gridway_rate_limit_store_up", `store="default/shared"`) != 1 {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]struct{ yaml, why string }{
		"wrong password":     {config("wrong-"+password, "redis.internal", ca, ca), "WRONGPASS"},
		"another authority":  {config(password, "redis.internal", stranger, ca), "certificate"},
		"another name":       {config(password, "other.internal", ca, ca), "redis.internal"},
		"client not trusted": {config(password, "redis.internal", ca, stranger), ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := serveYAML(t, c.yaml)
			resp, _ := g.get("/", header("X-Tenant", "b"))
			want(t, resp, 503, "RateLimitUnavailable")
			eventually(t, "the state says why", func() bool {
				s := g.storeState()
				return !s.Up && s.Error != "" && strings.Contains(s.Error, c.why) && !s.Since.IsZero()
			})
			if s := g.storeState(); strings.Contains(s.Error, "sesame") {
				t.Errorf("a secret in %q", s.Error)
			}
			if n := g.metric("gridway_rate_limit_store_up", `store="default/shared"`); n != 0 {
				t.Errorf("up is %v", n)
			}
			if g.metric("gridway_rate_limit_store_calls_total", `result="down"`) == 0 {
				t.Error("no call is counted that was not made")
			}
			g.apply(good)
			eventually(t, "it answers when that is mended", func() bool {
				resp, _ := g.get("/", header("X-Tenant", name))
				return resp.StatusCode == 200 && g.storeState().Up
			})
		})
	}
	// Somebody takes the account away from gateways that are connected.
	server.Do("ACL", "SETUSER", "gateway", "-evalsha", "-eval")
	eventually(t, "the state says what is not allowed", func() bool {
		_, _ = g.get("/", header("X-Tenant", "c"))
		return strings.Contains(g.storeState().Error, "NOPERM")
	})
	resp, _ := g.get("/", header("X-Tenant", "c"))
	want(t, resp, 503, "RateLimitUnavailable")
	server.Do("ACL", "SETUSER", "gateway", "+evalsha", "+eval")
	eventually(t, "and is well again", func() bool {
		resp, _ := g.get("/", header("X-Tenant", "c"))
		return resp.StatusCode == 200 && g.storeState().Up
	})
}
