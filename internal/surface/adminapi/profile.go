package adminapi

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
)

// profiles are the endpoints of net/http/pprof, behind the same guard. Its
// handlers on the default mux are not reachable: nothing serves that.
func (s *Server) profiles() []*endpoint {
	plain := func(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) (any, *Fault) {
		return func(w http.ResponseWriter, r *http.Request) (any, *Fault) {
			if f := lengthen(w, r); f != nil {
				return nil, f
			}
			h(w, r)
			return nil, nil
		}
	}
	binary := "application/octet-stream"
	seconds := map[string]string{"seconds": "how long to look, at most 120"}
	list := []*endpoint{
		{method: "GET", role: access.Admin, path: "/debug/pprof/", media: "text/html", serve: plain(pprof.Index), summary: "List of profiles."},
		{method: "GET", role: access.Admin, path: "/debug/pprof/cmdline", media: "text/plain", serve: plain(pprof.Cmdline), summary: "The command line."},
		{method: "GET", role: access.Admin, path: "/debug/pprof/profile", query: seconds, media: binary, serve: plain(pprof.Profile), summary: "CPU profile."},
		{method: "GET", role: access.Admin, path: "/debug/pprof/symbol", media: "text/plain", serve: plain(pprof.Symbol), summary: "Symbols of program counters."},
		{method: "GET", role: access.Admin, path: "/debug/pprof/trace", query: seconds, media: binary, serve: plain(pprof.Trace), summary: "Execution trace."},
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		list = append(list, &endpoint{
			method: "GET", role: access.Admin, path: "/debug/pprof/" + name, query: seconds, media: binary,
			serve: plain(pprof.Handler(name).ServeHTTP), summary: "Profile: " + name + ".",
		})
	}
	return list
}

// lengthen gives a profile of so many seconds the time that it needs.
func lengthen(w http.ResponseWriter, r *http.Request) *Fault {
	length := 30 * time.Second // pprof's own default
	if v := r.URL.Query().Get("seconds"); v != "" {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || !(n >= 0 && n <= maxProfileLength.Seconds()) {
			return fault(http.StatusBadRequest, "seconds must be a number from 0 to %.0f", maxProfileLength.Seconds())
		}
		length = time.Duration(n * float64(time.Second))
	}
	// What cannot set a deadline, as in tests, has none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(length + writeTimeout))
	return nil
}
