package adminapi

import (
	"net/http"
	"strconv"

	"github.com/gridway/gridway/internal/manage/access"
)

func (s *Server) importConsumers(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	text, f := readText(r, []string{"application/yaml", "application/json"})
	if f != nil {
		return nil, f
	}
	out, err := s.opt.Access.Import(r.Context(), actorOf(r), text, r.URL.Query().Get("dryRun") == "true")
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return out, nil
}

// exportConsumers sends as it reads: a fault in the middle breaks the reply off.
func (s *Server) exportConsumers(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	out := &lateWriter{w: w}
	err := s.opt.Access.Export(r.Context(), r.URL.Query().Get("namespace"), out)
	switch {
	case err != nil && !out.begun:
		return nil, s.faultOf(r, err)
	case err != nil:
		_ = s.faultOf(r, err) // which is logged
		panic(http.ErrAbortHandler)
	}
	if !out.begun {
		_, _ = out.Write(nil)
	}
	return nil, nil
}

// lateWriter sends the head of a reply with its first bytes.
type lateWriter struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/yaml")
	}
	return l.w.Write(p)
}

func (s *Server) tokens(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	list, err := s.opt.Access.Tokens(r.Context())
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return list, nil
}

func (s *Server) createToken(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q access.NewToken
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	t, err := s.opt.Access.CreateToken(r.Context(), actorOf(r), q)
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return t, nil
}

func (s *Server) revokeToken(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	if err := s.opt.Access.RevokeToken(r.Context(), actorOf(r), r.PathValue("id")); err != nil {
		return nil, s.faultOf(r, err)
	}
	return nil, nil
}

const defaultAuditPage = 100

func (s *Server) audit(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	ask := access.AuditQuery{Object: q.Get("object"), Actor: q.Get("actor"), Limit: defaultAuditPage}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > access.MaxPage {
			return nil, fault(http.StatusBadRequest, "limit must be 1 to %d", access.MaxPage)
		}
		ask.Limit = n
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return nil, fault(http.StatusBadRequest, "before must be the id of a change")
		}
		ask.Before = n
	}
	list, err := s.opt.Access.Audit(r.Context(), ask)
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	if len(list) == ask.Limit {
		q.Set("before", strconv.FormatInt(list[len(list)-1].ID, 10))
		w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+">; rel=\"next\"")
	}
	return list, nil
}
