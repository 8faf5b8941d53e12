package mesh

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const reopened = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: %s, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: away}
spec:
  parentRefs: [{name: public}]
  rules:
  - filters: [{type: RequestRedirect, requestRedirect: {hostname: away.example}}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: sunk}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: away}]
  accessLog: {sinkRefs: [{name: file}]}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: %q}}
`

// SIGHUP has members begin their files anew, after somebody has renamed them, and ends
// nobody.
func TestMembersReopenFiles(t *testing.T) {
	dir, open := t.TempDir(), port(t)
	sunk := filepath.Join(dir, "sunk.log")
	m := newMesh(t, fmt.Sprintf(reopened, open, sunk))
	edge := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "edge", "--control", m.address, "--state-dir", filepath.Join(m.dir, "edge"))
	edge.said("in the mesh")
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	logged := func(path string) {
		t.Helper()
		eventually(t, path+" in the file", func() error {
			resp, err := client.Get("http://127.0.0.1:" + open + path)
			if err != nil {
				return err
			}
			resp.Body.Close()
			text, err := os.ReadFile(sunk)
			if err == nil && !strings.Contains(string(text), `"path":"`+path+`"`) {
				err = fmt.Errorf("status %d, and the file has %q", resp.StatusCode, text)
			}
			return err
		})
	}
	logged("/before")
	if err := os.Rename(sunk, sunk+".old"); err != nil {
		t.Fatal(err)
	}
	if err := edge.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged("/after")
	if text, err := os.ReadFile(sunk + ".old"); err != nil || !strings.Contains(string(text), `"path":"/before"`) {
		t.Errorf("%v: the renamed file has %q", err, text)
	}
}
