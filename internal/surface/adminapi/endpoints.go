package adminapi

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// endpoints is the whole API.
func (s *Server) endpoints() []*endpoint {
	list := s.probes()
	if s.opt.ProbesOnly {
		return list
	}
	list = append(list,
		&endpoint{
			method: "GET", path: "/openapi.json", role: access.Viewer, gives: map[string]any{}, serve: s.openAPI,
			summary: "This API as an OpenAPI 3.1 document.",
		},
		&endpoint{
			method: "GET", path: "/v1/status", role: access.Viewer, gives: Status{}, serve: s.status,
			summary: "Revision in service, problems, what was refused and what serves in its place, listeners, statuses of objects, and what is not well on the way to clusters.",
		},
		&endpoint{
			method: "GET", path: "/v1/troubles", role: access.Viewer, gives: Troubles{}, serve: s.troubles,
			query:   map[string]string{"service": "only what is on the way to this Service, NAMESPACE/NAME", "proxy": "only what this proxy of the mesh sees"},
			summary: "Open circuit breakers, full pools, ejected and unhealthy endpoints, as this process sees them and, at a control plane, all proxies of the mesh; what is over stays for a minute. 2,000 at most, the worst first.",
		})
	if s.opt.Configuration != nil {
		list = append(list, s.configuration()...)
		list = append(list, s.revisions()...)
	}
	if s.opt.Explainer != nil {
		list = append(list, &endpoint{
			method: "POST", path: "/v1/explain", role: access.Viewer, takes: dryrun.Request{}, gives: dryrun.Decision{}, serve: s.explain,
			summary: "What would become of a request, and why.",
		})
	}
	if s.opt.Sampler != nil {
		list = append(list, &endpoint{
			method: "GET", path: "/v1/top", role: access.Viewer, gives: metric.Snapshot{}, serve: s.top,
			summary: "Rates, errors and latencies per rule and cluster over the last seconds.",
		})
	}
	if s.opt.Observer != nil {
		list = append(list, s.observation()...)
	}
	if s.opt.Records != nil {
		list = append(list, s.traces()...)
	}
	if s.opt.Effects != nil {
		list = append(list, s.effects()...)
	}
	if s.opt.Level != nil {
		list = append(list,
			&endpoint{method: "GET", path: "/v1/log/level", role: access.Viewer, gives: LogLevel{}, serve: s.level, summary: "The level of the log."},
			&endpoint{method: "PUT", path: "/v1/log/level", role: access.Operator, takes: LogLevel{}, gives: LogLevel{}, serve: s.setLevel, summary: "Changes the level of the log until the process ends."})
	}
	list = append(list, s.sessionEndpoints()...)
	list = append(list, s.managed()...)
	list = append(list, s.mesh()...)
	list = append(list, s.signals()...)
	return append(list, s.profiles()...)
}

// probes are for whatever looks after the process.
func (s *Server) probes() []*endpoint {
	list := []*endpoint{
		{
			method: "GET", path: "/healthz", open: true, gives: Health{}, serve: s.healthz,
			summary: "Whether the process is alive.",
		},
		{
			method: "GET", path: "/readyz", open: true, gives: Health{}, serve: s.readyz,
			summary: "Whether the process takes traffic: 200 from the first revision in service until it drains, else 503.",
		},
	}
	if s.opt.Metrics != nil {
		list = append(list, &endpoint{
			method: "GET", path: "/metrics", open: s.opt.ProbesOnly, role: access.Viewer, media: "text/plain", serve: s.metrics,
			summary: "Metrics in the formats of Prometheus.",
		})
	}
	return list
}

func (s *Server) configuration() []*endpoint {
	values := map[string]string{"values": "true adds the objects themselves"}
	return []*endpoint{
		{
			method: "GET", path: "/v1/config", role: access.Viewer, gives: ir.Config{}, serve: s.config,
			summary: "The compiled configuration in service, with secrets hidden.",
		},
		{
			method: "GET", path: "/v1/objects", role: access.Viewer, query: values, gives: []Object{}, serve: s.objects,
			summary: "Objects of the configuration, by kind, namespace and name.",
		},
		{
			method: "GET", path: "/v1/objects/{kind}", role: access.Viewer, query: values, gives: []Object{}, serve: s.objects,
			summary: "Objects of one kind.",
		},
		{
			method: "GET", path: "/v1/objects/{kind}/{namespace}/{name}", role: access.Viewer, gives: Object{}, serve: s.object,
			summary: "One object with its value, secrets hidden. The namespace of a cluster-scoped object is \"-\".",
		},
		{
			method: "GET", path: "/v1/routes", role: access.Viewer, gives: []RouteRow{}, serve: s.routes,
			summary: "Every match of every rule with where it is served and where it leads.",
		},
		{
			method: "GET", path: "/v1/clusters", role: access.Viewer, gives: []Cluster{}, serve: s.clusters,
			summary: "Live state of clusters and their endpoints.",
		},
		{
			method: "GET", path: "/v1/consumers", role: access.Viewer, gives: []Consumer{}, serve: s.consumers,
			query: map[string]string{
				"namespace": "only consumers of this namespace", "name": "only consumers of this name",
				"limit": "how many at most, 1 to 1000; the header Link names the next page", "after": "NAMESPACE/NAME: only consumers behind this one",
			},
			summary: "Consumers and their credentials, with the time of their last use.",
		},
	}
}

func (s *Server) healthz(http.ResponseWriter, *http.Request) (any, *Fault) {
	return Health{Status: "ok", State: s.opt.Process.State()}, nil
}

func (s *Server) readyz(http.ResponseWriter, *http.Request) (any, *Fault) {
	if state := s.opt.Process.State(); state != Serving {
		return nil, fault(http.StatusServiceUnavailable, "the process is %s", state)
	}
	return Health{Status: "ready", State: Serving}, nil
}

func (s *Server) status(http.ResponseWriter, *http.Request) (any, *Fault) {
	st := s.opt.Process.Status()
	t := boundTroubles(st.Troubles, st.MoreTroubles, troublesOfStatus, func(*Trouble) bool { return true })
	st.Troubles, st.MoreTroubles = t.Troubles, t.More
	return st.complete(), nil
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	s.opt.Metrics.ServeHTTP(w, r)
	return nil, nil
}

var errNoRevision = fault(http.StatusServiceUnavailable, "no revision is in service yet")

func (s *Server) config(http.ResponseWriter, *http.Request) (any, *Fault) {
	c := s.opt.Configuration.Config()
	if c == nil {
		return nil, errNoRevision
	}
	return c.Redacted(), nil
}

func (s *Server) routes(http.ResponseWriter, *http.Request) (any, *Fault) {
	c := s.opt.Configuration.Config()
	if c == nil {
		return nil, errNoRevision
	}
	return Routes(c), nil
}

func (s *Server) clusters(http.ResponseWriter, *http.Request) (any, *Fault) {
	return append([]Cluster{}, s.opt.Configuration.Clusters()...), nil
}

func (s *Server) objects(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	values := r.URL.Query().Get("values") == "true"
	kind := r.PathValue("kind")
	out := []Object{}
	for _, o := range s.opt.Configuration.Objects(values) {
		if kind == "" || strings.EqualFold(o.Kind, kind) {
			out = append(out, o.redacted(values, ir.Hide))
		}
	}
	sortObjects(out)
	return out, nil
}

func (s *Server) object(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	kind, namespace, name := r.PathValue("kind"), r.PathValue("namespace"), r.PathValue("name")
	if namespace == "-" {
		namespace = ""
	}
	for _, o := range s.opt.Configuration.Objects(true) {
		if strings.EqualFold(o.Kind, kind) && o.Namespace == namespace && o.Name == name {
			return o.redacted(true, ir.Hide), nil
		}
	}
	return nil, fault(http.StatusNotFound, "there is no %s %s in namespace %q", kind, name, namespace)
}

func (s *Server) explain(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q dryrun.Request
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	d, err := s.opt.Explainer.Explain(r.Context(), q)
	if err != nil {
		return nil, fault(http.StatusUnprocessableEntity, "%v", err)
	}
	return d.Redacted(), nil
}

func (s *Server) top(http.ResponseWriter, *http.Request) (any, *Fault) {
	return s.opt.Sampler.Snapshot(), nil
}

func (s *Server) level(http.ResponseWriter, *http.Request) (any, *Fault) {
	return LogLevel{strings.ToLower(s.opt.Level.Level().String())}, nil
}

func (s *Server) setLevel(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q LogLevel
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	var l slog.Level
	switch q.Level {
	case "debug":
		l = slog.LevelDebug
	case "info":
		l = slog.LevelInfo
	case "warn":
		l = slog.LevelWarn
	case "error":
		l = slog.LevelError
	default:
		return nil, fault(http.StatusBadRequest, "level must be debug, info, warn or error")
	}
	old := s.opt.Level.Level()
	s.opt.Level.Set(l)
	s.opt.Log.Log(r.Context(), max(l, slog.LevelInfo), "log level changed", "from", old.String(), "to", l.String(), "actor", actorOf(r).Name, "peer", r.RemoteAddr)
	return s.level(w, r)
}
