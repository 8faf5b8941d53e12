package e2e

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// h2specExceptions are cases of the suite that fail for a reason, with the
// sentence that allows it, by package and description.
var h2specExceptions = map[string]map[string]string{
	"h2c": {
		// The port speaks HTTP/1.1 too, and answers what is not HTTP/2 in that.
		"http2/3.5: Sends invalid connection preface": "RFC 9113 §3.4: \"A GOAWAY frame (Section 6.8) MAY be omitted in this case, " +
			"since an invalid preface indicates that the peer is not using HTTP/2.\"",
	},
	"h2": {},
}

// TestH2spec runs the conformance suite for servers against the binary, with
// prior knowledge and with TLS.
func TestH2spec(t *testing.T) {
	t.Parallel()
	suite, err := filepath.Abs("../../bin/h2spec")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(suite); err != nil {
		t.Fatalf("%v: run scripts/setup test", err)
	}
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("localhost")
	secure, plain := ownPort(t), ownPort(t)
	// The suite's cases of flow control want a response with some content.
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello, world\n")) })
	start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", secure),
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain)),
		secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr)))
	for name, args := range map[string][]string{
		"h2c": {"-p", fmt.Sprint(plain)},
		"h2":  {"-p", fmt.Sprint(secure), "-t", "-k"},
	} {
		t.Run(name, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "report.xml")
			// A suite that finds failures ends with an error; the report counts.
			out, runErr := exec.Command(suite, append(args, "-o", "5", "-j", report)...).CombinedOutput()
			b, err := os.ReadFile(report)
			if err != nil {
				t.Fatalf("%v (%v)\n%s", err, runErr, out)
			}
			var found struct {
				Suites []struct {
					Package string `xml:"package,attr"`
					Cases   []struct {
						Name    string    `xml:"classname,attr"`
						Failure *struct{} `xml:"failure"`
						Error   *struct{} `xml:"error"`
						Skipped *struct{} `xml:"skipped"`
					} `xml:"testcase"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(b, &found); err != nil {
				t.Fatal(err)
			}
			passed, skipped := 0, 0
			for _, s := range found.Suites {
				for _, c := range s.Cases {
					id := s.Package + ": " + c.Name
					_, excepted := h2specExceptions[name][id]
					switch {
					case c.Skipped != nil:
						skipped++
					case c.Failure == nil && c.Error == nil:
						passed++
						if excepted {
							t.Errorf("%s passes now and is no exception", id)
						}
					case !excepted:
						t.Errorf("%s failed", id)
					}
				}
			}
			const all = 145
			if n := passed + len(h2specExceptions[name]); n != all || skipped > 0 {
				t.Errorf("%d of %d cases have passed, %d were skipped", passed, all, skipped)
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
