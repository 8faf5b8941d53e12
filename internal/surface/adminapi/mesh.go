package adminapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// mesh are the endpoints of who may be in the mesh.
func (s *Server) mesh() []*endpoint {
	list := []*endpoint{
		{
			method: "GET", path: "/v1/mesh/tokens", role: access.Admin, gives: []membership.Token{}, serve: s.joinTokens,
			summary: "Tokens by which machines join the mesh, without their secrets.",
		},
		{
			method: "POST", path: "/v1/mesh/tokens", role: access.Admin, takes: membership.NewToken{}, gives: membership.CreatedToken{}, success: 201, serve: s.createJoinToken,
			summary: "Makes a join token. The reply has its text, which is shown this once.",
		},
		{
			method: "DELETE", path: "/v1/mesh/tokens/{id}", role: access.Admin, success: 204, serve: s.revokeJoinToken,
			summary: "Takes a join token away. Who has joined by it stays.",
		},
		{
			method: "GET", path: "/v1/mesh/identities", role: access.Viewer, gives: []membership.Certificate{}, serve: s.identities,
			query:   map[string]string{"id": "only certificates of this SPIFFE ID", "limit": "how many at most, 1 to 1000 (1000)"},
			summary: "Certificates of the mesh that are alive, by identity, the newest of each first.",
		},
		{
			method: "GET", path: "/v1/mesh/denials", role: access.Viewer, gives: []membership.Denial{}, serve: s.denials,
			summary: "Identities and certificates that are denied.",
		},
		{
			method: "POST", path: "/v1/mesh/denials", role: access.Operator, takes: membership.Denial{}, gives: membership.Denial{}, success: 201, serve: s.deny,
			summary: "Denies an identity or a certificate: no SVID is issued, handshakes fail, and connections are cut.",
		},
		{
			method: "DELETE", path: "/v1/mesh/denials", role: access.Operator, success: 204, serve: s.allow,
			query:   map[string]string{"id": "the SPIFFE ID of the denial", "serial": "the serial number of the denial"},
			summary: "Takes a denial away, which has exactly this SPIFFE ID and serial number.",
		},
		{
			method: "GET", path: "/v1/mesh/authority", role: access.Viewer, gives: identity.AuthorityState{}, serve: s.authority,
			summary: "The roots and keys of the mesh's authority, and which of them sign.",
		},
		{
			method: "GET", path: "/v1/mesh/routes", role: access.Viewer, gives: []dryrun.Row{}, serve: s.meshRoutes,
			query:   map[string]string{"namespace": "only Services of it", "service": "only Services of this name"},
			summary: "Every match of every route on Services, by Service, port and the clients for whom it is, in the order in which requests try them.",
		},
		{
			method: "POST", path: "/v1/mesh/explain", role: access.Viewer, takes: dryrun.PassageRequest{}, gives: dryrun.Passage{}, serve: s.passage,
			summary: "Says what would become of an imagined request of a service: what its own proxy does with it, and what the proxies of the service that is called do.",
		},
		{
			method: "GET", path: "/v1/mesh/traffic", role: access.Viewer, gives: []evidence.Flow{}, serve: s.traffic,
			query: map[string]string{
				"namespace": "only what went to Services of it", "service": "only what went to Services of this name",
				"since": "how far back, a duration in hours, minutes and seconds of 336h at most (168h)",
			},
			summary: "Who has spoken to which Service, by methods and shapes of paths, as proxies before workloads have seen it. Counts are of whole days.",
		},
	}
	if s.opt.Mesh == nil {
		for _, e := range list {
			e.serve = func(http.ResponseWriter, *http.Request) (any, *Fault) {
				return nil, fault(http.StatusConflict, "this process is no control plane of a mesh; ask one that runs gridway control")
			}
		}
	}
	return list
}

func (s *Server) joinTokens(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	return given(s, r)(s.opt.Mesh.Tokens(r.Context()))
}

// given makes a reply of what a service answers.
func given(s *Server, r *http.Request) func(any, error) (any, *Fault) {
	return func(out any, err error) (any, *Fault) {
		if err != nil {
			return nil, s.faultOf(r, err)
		}
		return out, nil
	}
}

func (s *Server) createJoinToken(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q membership.NewToken
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	return given(s, r)(s.opt.Mesh.CreateToken(r.Context(), actorOf(r), q))
}

func (s *Server) revokeJoinToken(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	return given(s, r)(nil, s.opt.Mesh.RevokeToken(r.Context(), actorOf(r), r.PathValue("id")))
}

func (s *Server) identities(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	limit := membership.MaxPage
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > membership.MaxPage {
			return nil, fault(http.StatusBadRequest, "limit must be 1 to %d", membership.MaxPage)
		}
		limit = n
	}
	return given(s, r)(s.opt.Mesh.Certificates(r.Context(), r.URL.Query().Get("id"), limit))
}

func (s *Server) denials(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	return given(s, r)(s.opt.Mesh.Denials(r.Context()))
}

func (s *Server) deny(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q membership.Denial
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	return given(s, r)(s.opt.Mesh.Deny(r.Context(), actorOf(r), q))
}

func (s *Server) allow(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	if q.Get("id") == "" && q.Get("serial") == "" {
		return nil, fault(http.StatusBadRequest, "id or serial is missing")
	}
	return given(s, r)(nil, s.opt.Mesh.Allow(r.Context(), actorOf(r), q.Get("id"), q.Get("serial")))
}

// Traffic is what proxies of a mesh have seen.
type Traffic interface {
	Flows(ctx context.Context, q evidence.Query) ([]evidence.Flow, error)
}

// defaultSince is how far back traffic is told of.
const defaultSince = 7 * 24 * time.Hour

func (s *Server) traffic(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	if s.opt.Traffic == nil {
		return nil, fault(http.StatusConflict, "this process keeps nothing of what proxies see; ask one that runs gridway control")
	}
	q, since := r.URL.Query(), defaultSince
	if text := q.Get("since"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > evidence.Keep {
			return nil, fault(http.StatusBadRequest, "since must be a duration of %s at most, as in 24h", evidence.Keep)
		}
		since = d
	}
	return given(s, r)(s.opt.Traffic.Flows(r.Context(), evidence.Query{
		Namespace: q.Get("namespace"), Service: q.Get("service"), Since: time.Now().Add(-since),
	}))
}

func (s *Server) authority(http.ResponseWriter, *http.Request) (any, *Fault) {
	return s.opt.Mesh.Authority(), nil
}

func (s *Server) passage(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q dryrun.PassageRequest
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	if s.opt.Services == nil || s.opt.Services.Mesh() == nil {
		return nil, errNoRevision
	}
	p, err := s.opt.Services.Passage(r.Context(), q)
	if err != nil {
		return nil, fault(http.StatusUnprocessableEntity, "%v", err)
	}
	return p, nil
}

func (s *Server) meshRoutes(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var m *ir.Mesh
	if s.opt.Services != nil {
		m = s.opt.Services.Mesh()
	}
	if m == nil {
		return nil, errNoRevision
	}
	q := r.URL.Query()
	return dryrun.MeshRows(m, q.Get("namespace"), q.Get("service")), nil
}
