package supervise

import (
	"net/netip"
	"slices"
	"strings"
)

// Addresses that never go through a proxy: what the application asks of its own host.
const local = "localhost,127.0.0.0/8,::1"

// ProxyEnv is env with the variables by which programs find an HTTP proxy, in
// both spellings, since some programs (curl among them) read http_proxy in small
// letters alone. What env has of them is replaced, but for what it exempts from
// proxies. The URL for https:// is the same: such requests come as CONNECT.
func ProxyEnv(env []string, proxy netip.AddrPort) []string {
	exempt := local
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, value, _ := strings.Cut(v, "=")
		switch strings.ToLower(name) {
		case "no_proxy":
			if value != "" && !strings.Contains(exempt, value) {
				exempt += "," + value
			}
			return true
		case "http_proxy", "https_proxy":
			return true
		}
		return false
	})
	url := "http://" + proxy.String()
	for _, name := range []string{"http_proxy", "https_proxy"} {
		env = append(env, name+"="+url, strings.ToUpper(name)+"="+url)
	}
	return append(env, "no_proxy="+exempt, "NO_PROXY="+exempt)
}
