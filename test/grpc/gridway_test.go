package grpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(caseEnv); name != "" {
		runCase(name) // this process is a client of one case
		return
	}
	harness.Main(m)
}

// gridway is a gateway that explains itself.
type gridway struct {
	*harness.Gateway
	t *testing.T
}

// start runs the documents.
func start(t *testing.T, yaml string) *gridway {
	t.Helper()
	return &gridway{harness.Start(t, yaml), t}
}

// explain asks what would become of a request.
func (g *gridway) explain(method, url string) string {
	g.t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(g.PostJSON("/v1/explain", fmt.Sprintf(`{"method":%q,"url":%q}`, method, url)))); err != nil {
		g.t.Fatal(err)
	}
	return compact.String()
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// port is that of the first listener.
func (g *gridway) port(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(g.File())
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "port: ")
	n, err := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
