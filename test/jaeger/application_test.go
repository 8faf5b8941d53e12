package jaeger

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// asApplication is the variable that makes the test's own binary the application of a
// sidecar: the address at which it serves.
const asApplication = "GRIDWAY_TEST_APPLICATION"

func TestMain(m *testing.M) {
	if at := os.Getenv(asApplication); at != "" {
		fmt.Fprintln(os.Stderr, application(at))
		os.Exit(3)
	}
	harness.Main(m)
}

// application serves HTTP/1.1, HTTP/2 and calls of gRPC in clear text:
//
//	/relay/PORT/path  asks for the path at a port of its sidecar, in the same trace
//	/flaky/NAME       is not available when it is asked for a name for the first time
//	/late/NAME        has no answer for the first one
//	/fails            has failed
//	/shop.Calls/…     is OK; "Fails" has failed
func application(at string) error {
	var mu sync.Mutex
	asked := map[string]bool{} // guarded by mu
	first := func(name string) bool {
		mu.Lock()
		defer mu.Unlock()
		was := asked[name]
		asked[name] = true
		return !was
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/relay/"):
			relay(w, r)
		case strings.HasPrefix(path, "/flaky/") && first(path):
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasPrefix(path, "/late/") && first(path):
			<-r.Context().Done() // nobody waits for it any more
		case path == "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasPrefix(path, "/shop.Calls/"):
			status := "0"
			if strings.HasSuffix(path, "/Fails") {
				status = "13" // INTERNAL
			}
			w.Header().Set("Trailer", "Grpc-Status")
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = w.Write([]byte{0, 0, 0, 0, 0}) // an empty message
			w.Header().Set("Grpc-Status", status)
		}
	}
	s := &http.Server{Addr: at, Handler: http.HandlerFunc(handler), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s.ListenAndServe()
}

// relay passes on what names the trace, as libraries for tracing do.
func relay(w http.ResponseWriter, r *http.Request) {
	port, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/relay/"), "/")
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://127.0.0.1:"+port+"/"+path, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, name := range []string{"Traceparent", "Tracestate", "X-Request-Id"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
