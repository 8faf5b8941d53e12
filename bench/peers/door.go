package peers

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1" //nolint:gosec // for NGINX, which has no better cheap one
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/gridway/gridway/bench/load"
)

// Door is what a proxy wants to know of its callers, and how much it lets them have.
type Door struct {
	// Keys asks for the API key of one of that many callers.
	Keys int
	// Limit counts the requests of each API key, against a limit that none reaches.
	Limit bool
	// Store is where limits are counted for several proxies together; empty is nowhere.
	Store Store
	// Shield refuses 10,000 networks and ten programs, none of which come, and gives
	// responses six headers.
	Shield bool
	// Rules let in what has a method, a path and a network, which all have.
	Rules bool
	// Ask has the backend asked, at /auth, about each request.
	Ask bool
	// AskGRPC is Ask by Envoy's protocol, over gRPC.
	AskGRPC bool
	// Token is a JSON Web Token that requests must have, if it is not empty.
	Token string
	// Introspect has the backend say of the token Opaque that it is good.
	Introspect bool
	// Password asks for the name and the password of a user.
	Password bool
	// Certificate asks clients for one.
	Certificate bool
	// Signature asks for a signature of each request.
	Signature bool
	// Session is the cookie of somebody who has logged in, if it is not empty.
	Session string
	// JSON bounds what documents may be like.
	JSON bool
	// Browser refuses requests that other sites have browsers make, and gives responses
	// headers for them.
	Browser bool
	// Expression is Rules in CEL.
	Expression bool
}

// Store is where limits are counted together.
type Store string

// The stores: leases of slices of an SQLite file, and a Redis beside the proxy, which
// is asked for each request.
const (
	Leases Store = "leases"
	Redis  Store = "redis"
)

// deniedNetworks is how many a shield refuses.
const deniedNetworks = 10_000

// network is the i-th of them; none has this machine's addresses.
func network(i int) string { return fmt.Sprintf("%d.%d.%d.0/25", 11+i/65536, i/256%256, i%256) }

// Denied are the programs that a shield refuses.
func (Door) Denied() []string {
	return []string{"sqlmap", "nikto", "masscan", "zgrab", "nmap", "dirbuster", "gobuster", "wpscan", "acunetix", "nessus"}
}

// Issuer of Token, whose set of keys is Keyset.
const issuer = "https://issuer.bench"

// signer makes tokens; it has no secret worth keeping.
var signer = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// NewToken is a JSON Web Token that is good for a day.
func NewToken(now time.Time) string {
	text := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"iss":%q,"aud":"bench","sub":"somebody","scope":"read write","iat":%d,"exp":%d}`, issuer, now.Unix(), now.Add(24*time.Hour).Unix())
	head := text([]byte(`{"alg":"EdDSA","typ":"JWT","kid":"bench"}`)) + "." + text([]byte(claims))
	return head + "." + text(ed25519.Sign(signer, []byte(head)))
}

// Issuer is who makes tokens, for the templates.
func (Door) Issuer() string { return issuer }

// Keyset is the issuer's.
func (Door) Keyset() string {
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"bench","x":%q}]}`, base64.RawURLEncoding.EncodeToString(signer.Public().(ed25519.PublicKey)))
}

// anyKeys is how many callers there are where nobody asks who they are.
const anyKeys = 1000

// callers is whose keys requests must have.
func (d Door) callers() int {
	if d.Keys == 0 && d.Limit {
		return anyKeys
	}
	return d.Keys
}

// caller is one of those who may come in, for the templates.
type caller struct {
	Number int
	Hash   string
}

// Everybody lists those who may come in.
func (d Door) Everybody() iter.Seq[caller] {
	return func(yield func(caller) bool) {
		for i := range d.Keys {
			if !yield(caller{i, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(load.Key(i))))}) {
				return
			}
		}
	}
}

// shield writes the lists of networks, for each proxy in its own form.
func (l *Lab) shield() error {
	var nginx, plain bytes.Buffer
	for i := range deniedNetworks {
		fmt.Fprintf(&nginx, "%s 1;\n", network(i))
		fmt.Fprintln(&plain, network(i))
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "nginx-networks"), nginx.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.Dir, "networks"), plain.Bytes(), 0o600)
}

// door writes the files in which NGINX and HAProxy look keys up.
func (l *Lab) door(s Spec) error {
	if s.Shield {
		if err := l.shield(); err != nil {
			return err
		}
	}
	if s.Password {
		sum := sha1.Sum([]byte(userPassword)) //nolint:gosec // the cheapest that NGINX takes
		line := userName + ":{SHA}" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
		if err := os.WriteFile(filepath.Join(l.Dir, "nginx-users"), []byte(line), 0o600); err != nil {
			return err
		}
	}
	if s.Keys == 0 {
		return nil
	}
	var nginx, haproxy bytes.Buffer
	for i := range s.Keys {
		fmt.Fprintf(&nginx, "%q 1;\n", load.Key(i))
		fmt.Fprintf(&haproxy, "%s 1\n", load.Key(i))
	}
	if err := os.WriteFile(filepath.Join(l.Dir, "nginx-keys.map"), nginx.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.Dir, "haproxy-keys.map"), haproxy.Bytes(), 0o600)
}
