package adminapi

import (
	"net/http"
	"strings"
)

// pages serves the console's files, which are no secret: what they show is asked of the
// API. So they need no token, and may be linked to from anywhere.
func (s *Server) pages(mux *http.ServeMux) {
	files := http.StripPrefix(strings.TrimSuffix(ConsolePath, "/"), s.opt.Console)
	mux.HandleFunc(ConsolePath, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.guard.hostAllowed(r.Host):
			fault(http.StatusMisdirectedRequest, "the Host of the request is not one of this API's names; use an IP address or localhost, or allow the name").write(w)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fault(http.StatusMethodNotAllowed, "pages take GET and HEAD").write(w)
		default:
			files.ServeHTTP(w, r)
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "text/html") || !s.guard.hostAllowed(r.Host) {
			s.dispatch(w, r, nil)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Accept")
		http.Redirect(w, r, ConsolePath, http.StatusFound)
	})
}
