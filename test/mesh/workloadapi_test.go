package mesh

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// spiffeProgram knows SPIFFE by its library and nothing of Gridway: "spiffe PORT". It
// answers requests, and at a port of its own mutual TLS by its SVID.
func spiffeProgram(port string) error {
	ctx := context.Background()
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeAny()))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go greet(c)
		}
	}()
	mux := http.NewServeMux()
	answer := func(f func(r *http.Request) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"name": out, "path": l.Addr().String()})
		}
	}
	mux.HandleFunc("/", answer(func(*http.Request) (any, error) {
		svid, err := source.GetX509SVID()
		return svid.ID.String(), err
	}))
	mux.HandleFunc("/call", answer(func(r *http.Request) (any, error) { return call(source, r.FormValue("to")) }))
	mux.HandleFunc("/token", answer(func(r *http.Request) (any, error) {
		client, err := workloadapi.New(r.Context())
		if err != nil {
			return nil, err
		}
		defer client.Close()
		token, err := client.FetchJWTSVID(r.Context(), jwtsvid.Params{Audience: "billing"})
		if err != nil {
			return nil, err
		}
		checked, err := client.ValidateJWTSVID(r.Context(), token.Marshal(), "billing")
		if err != nil {
			return nil, err
		}
		return checked.ID.String(), nil
	}))
	return http.ListenAndServe("127.0.0.1:"+port, mux)
}

// greet tells a peer who it is.
func greet(c net.Conn) {
	defer c.Close()
	tc := c.(*tls.Conn)
	if err := tc.Handshake(); err != nil {
		return
	}
	id, err := x509svid.IDFromCert(tc.ConnectionState().PeerCertificates[0])
	fmt.Fprint(c, id, err)
}

// call returns whom the peer is, and whom it takes us for.
func call(source *workloadapi.X509Source, to string) (string, error) {
	var peer spiffeid.ID
	c, err := tls.Dial("tcp", to, tlsconfig.MTLSClientConfig(source, source, tlsconfig.AdaptMatcher(func(id spiffeid.ID) error {
		peer = id
		return nil
	})))
	if err != nil {
		return "", err
	}
	defer c.Close()
	said, err := io.ReadAll(c)
	return fmt.Sprintf("%s says %s", peer, said), err
}

// Two programs that know SPIFFE get their SVIDs from their sidecars, and speak mutual
// TLS to each other by them, without anybody between.
func TestWorkloadAPI(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("ratings", "spiffe")
	ratings, reviews := port(t), port(t)
	m.sidecar("cart", "front", "--upstream", "ratings=:"+ratings, "--upstream", "reviews=:"+reviews)
	m.sidecar("reviews", "spiffe", "--workload-api", filepath.Join(m.dir, "own.sock"))
	const id = "spiffe://cluster.local/ns/default/sa/"
	from(t, ratings, id+"ratings")
	from(t, reviews, id+"reviews")
	at, err := get(ratings, "/")
	if err != nil {
		t.Fatal(err)
	}
	got, err := get(reviews, "/call?to="+at.Path)
	if want := id + "ratings says " + id + "reviews <nil>"; err != nil || got.Name != want {
		t.Errorf("%s, %v", got.Name, err)
	}
	if got, err = get(reviews, "/token"); err != nil || got.Name != id+"reviews" {
		t.Errorf("%s, %v", got.Name, err)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "own.sock")); err != nil {
		t.Error(err)
	}
	m.control.kill()
	if got, err := get(reviews, "/call?to="+at.Path); err != nil || !strings.Contains(got.Name, "says") {
		t.Errorf("without a control plane: %s, %v", got.Name, err)
	}
	if _, err := get(ratings, "/token"); err == nil || !strings.Contains(err.Error(), "a control plane has to sign it") {
		t.Errorf("a token without a control plane: %v", err)
	}
}

// The path of a socket has its bounds, which are told before the program starts.
func TestWorkloadAPIPath(t *testing.T) {
	m := newMesh(t, "")
	start := func(name string, flags ...string) *process {
		return run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token, "SPIFFE_ENDPOINT_SOCKET=unix:///somebody/else"},
			append(append([]string{"sidecar", "--service", name, "--control", m.address, "--state-dir", filepath.Join(m.dir, name)}, flags...),
				"--", "sh", "-c", "echo socket=$SPIFFE_ENDPOINT_SOCKET")...)
	}
	long := start("long", "--workload-api", filepath.Join(m.dir, strings.Repeat("x", 120)))
	if code := long.ended(); code != 1 || !strings.Contains(long.log.String(), "107 at most") {
		t.Errorf("exit code %d, %s", code, long.log)
	}
	none := start("none", "--workload-api", "off")
	if code := none.ended(); code != 0 || !strings.Contains(none.log.String(), "socket=unix:///somebody/else\n") {
		t.Errorf("exit code %d, %s", code, none.log)
	}
	own := start("own")
	if code := own.ended(); code != 0 || !strings.Contains(own.log.String(), "socket=unix://"+filepath.Join(m.dir, "own", "workload.sock")+"\n") {
		t.Errorf("exit code %d, %s", code, own.log)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "own", "workload.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}
