package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/goccy/go-yaml"
)

// endpoint is one method of one path: the table of them makes both the server
// and its OpenAPI document.
type endpoint struct {
	method, path string
	summary      string
	// query names the parameters, with a word about each.
	query map[string]string
	// takes and gives are values of the body's types; nil is none, or not JSON.
	takes, gives any
	// media is the type of a reply that is not JSON.
	media string
	// open needs no token.
	open bool
	// serve answers with a value to encode, or with a fault. A nil value means
	// that it has written the reply itself.
	serve func(w http.ResponseWriter, r *http.Request) (any, *Fault)
}

// handler builds the tree of paths. Each path has one handler, so that a wrong
// method is told from a wrong path.
func (s *Server) handler() http.Handler {
	byPath := map[string]map[string]*endpoint{}
	for _, e := range s.endpoints() {
		if byPath[e.path] == nil {
			byPath[e.path] = map[string]*endpoint{}
		}
		byPath[e.path][e.method] = e
	}
	mux := http.NewServeMux()
	for path, methods := range byPath {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { s.dispatch(w, r, methods) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.dispatch(w, r, nil) })
	return mux
}

// dispatch runs the guard, finds the method, and writes what the endpoint says.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, methods map[string]*endpoint) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	e := methods[method]
	if f := s.guard.check(r, e != nil && e.open); f != nil {
		if f.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="gridway admin"`)
		}
		s.opt.Log.Warn("admin API request refused", "status", f.Status, "peer", r.RemoteAddr, "path", r.URL.Path)
		f.write(w)
		return
	}
	if e == nil {
		s.noEndpoint(w, r, methods)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	v, f := e.serve(w, r)
	switch {
	case f != nil:
		f.write(w)
	case v != nil:
		reply(w, r, v)
	}
}

func (s *Server) noEndpoint(w http.ResponseWriter, r *http.Request, methods map[string]*endpoint) {
	if len(methods) == 0 {
		fault(http.StatusNotFound, "there is nothing at this path; GET /openapi.json lists what there is").write(w)
		return
	}
	var allow []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT"} {
		if methods[m] != nil || m == "HEAD" && methods["GET"] != nil {
			allow = append(allow, m)
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	fault(http.StatusMethodNotAllowed, "this path takes %s", strings.Join(allow, ", ")).write(w)
}

// reply sends v as JSON, or as YAML when the Accept header or ?format asks for it.
func reply(w http.ResponseWriter, r *http.Request, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		fault(http.StatusInternalServerError, "the reply cannot be encoded").write(w)
		return
	}
	media := "application/json"
	if r.URL.Query().Get("format") == "yaml" || strings.Contains(r.Header.Get("Accept"), "application/yaml") {
		media = "application/yaml"
		if text, err = yaml.JSONToYAML(text); err != nil {
			fault(http.StatusInternalServerError, "the reply cannot be encoded").write(w)
			return
		}
	} else {
		text = append(text, '\n')
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(text) // the client is gone if this fails
}

// decode reads a body of JSON with nothing unknown in it.
func decode(r *http.Request, v any) *Fault {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return fault(http.StatusUnsupportedMediaType, "send application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if err == nil {
			err = errors.New("there is more than one value")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fault(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
	}
	return fault(http.StatusBadRequest, "the body is not what was expected: %v", err)
}
