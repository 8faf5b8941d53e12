package adminapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gridway/gridway/internal/manage/access"
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
	// streams are the types of a reply that is one value of gives after the other.
	streams []string
	// takesText is set where the body is read as it is, and which types it may have;
	// most is how many bytes, 1 MiB if it is zero, and slow that it may take minutes.
	takesText []string
	most      int64
	slow      bool
	// success is the status of a reply without a fault, 200 if it is zero; creates
	// that it may also be 201. 204 has no body.
	success int
	creates bool
	// open needs no token. Others need one of the role, which is never empty.
	open bool
	role access.Role
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
	who, f := s.guard.check(r, e)
	if f != nil {
		if f.Status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="gridway admin"`)
		}
		s.opt.Log.Warn("admin API request refused", "status", f.Status, "actor", who.Name, "peer", r.RemoteAddr, "path", r.URL.Path)
		f.write(w)
		return
	}
	if e == nil {
		s.noEndpoint(w, r, methods)
		return
	}
	if e.slow {
		patient(w)
	}
	r.Body = http.MaxBytesReader(w, r.Body, cmp.Or(e.most, maxBody))
	v, f := e.serve(w, withActor(r, who))
	status := cmp.Or(e.success, http.StatusOK)
	if c, ok := v.(created); ok {
		v, status = c.v, http.StatusCreated
	}
	switch {
	case f != nil:
		f.write(w)
	case status == http.StatusNoContent:
		w.WriteHeader(status)
	case v != nil:
		reply(w, r, status, v)
	}
}

// created is a reply to what has made something.
type created struct{ v any }

// slowTimeout bounds what handles a hundred thousand consumers.
const slowTimeout = 10 * time.Minute

// patient gives a request longer than others.
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	// What cannot set deadlines, as in tests, has none.
	_ = c.SetReadDeadline(time.Now().Add(slowTimeout))
	_ = c.SetWriteDeadline(time.Now().Add(slowTimeout))
}

func (s *Server) noEndpoint(w http.ResponseWriter, r *http.Request, methods map[string]*endpoint) {
	if len(methods) == 0 && s.opt.ProbesOnly {
		fault(http.StatusNotFound, "there is nothing at this path: this address has /healthz, /readyz and /metrics alone").write(w)
		return
	}
	if len(methods) == 0 {
		fault(http.StatusNotFound, "there is nothing at this path; GET /openapi.json lists what there is").write(w)
		return
	}
	var allow []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if methods[m] != nil || m == "HEAD" && methods["GET"] != nil {
			allow = append(allow, m)
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	fault(http.StatusMethodNotAllowed, "this path takes %s", strings.Join(allow, ", ")).write(w)
}

// reply sends v as JSON, or as YAML when the Accept header or ?format asks for it.
func reply(w http.ResponseWriter, r *http.Request, status int, v any) {
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
	w.WriteHeader(status)
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
