package adminapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
)

// Revisions knows what has changed in the configuration.
type Revisions interface {
	// Revisions lists them without texts, the latest first.
	Revisions(ctx context.Context, q objects.Query) ([]objects.Revision, error)
	Revision(ctx context.Context, number int64) (*objects.Revision, error)
}

// Managed keeps objects of the configuration in a state store; objectsdb.Service is one.
type Managed interface {
	Apply(ctx context.Context, by access.Actor, text []byte, o objects.Options) (*objects.Applied, error)
	Delete(ctx context.Context, by access.Actor, object objects.Name, o objects.Options) (*objects.Applied, error)
	// Rollback makes the managed objects what they were after a revision.
	Rollback(ctx context.Context, by access.Actor, number int64, o objects.Options) (*objects.Applied, error)
}

// applyTypes are what objects may be sent as.
var applyTypes = []string{"application/yaml", "application/json"}

const defaultRevisionPage = 100

// revisions are the endpoints of managed objects, and of what has changed.
func (s *Server) revisions() (list []*endpoint) {
	if s.opt.Revisions != nil {
		list = append(list, &endpoint{
			method: "GET", path: "/v1/revisions", role: access.Viewer, gives: []objects.Revision{}, serve: s.listRevisions,
			query: map[string]string{
				"object": "only revisions that change this one, KIND/NAMESPACE/NAME or KIND/NAME",
				"before": "only revisions with a lower number; the header Link names the next page", "limit": "how many at most, 1 to 1000 (100)",
			},
			summary: "What has changed in the configuration, by the admin API and in files, the latest first.",
		}, &endpoint{
			method: "GET", path: "/v1/revisions/{number}", role: access.Viewer, gives: objects.Revision{}, serve: s.revision,
			summary: "One revision with each object before and after it in YAML, secrets hidden.",
		})
	}
	changing := map[string]string{
		"message": "why, for the list of revisions; at most 1000 bytes",
		"dryRun":  "true only says what would be done",
		"expect":  "number of the latest revision that there must be; otherwise the answer is 409",
	}
	return append(list, s.keeping([]*endpoint{
		{
			method: "POST", path: "/v1/apply", role: access.Operator, takesText: applyTypes, most: objects.MaxChange, slow: true,
			query: changing, gives: objects.Applied{}, serve: s.apply,
			summary: "Makes objects of any kind but Consumer, or changes them, all of them or none, in one revision. They are checked together with the whole configuration first: 422 lists what is wrong, by line and column.",
		},
		{
			method: "DELETE", path: "/v1/objects/{kind}/{namespace}/{name}", role: access.Operator, slow: true,
			query: changing, gives: objects.Applied{}, serve: s.deleteObject,
			summary: "Takes a managed object away. The namespace of a cluster-scoped object is \"-\".",
		},
		{
			method: "POST", path: "/v1/revisions/{number}/rollback", role: access.Operator, slow: true,
			query: changing, gives: objects.Applied{}, serve: s.rollback,
			summary: "Makes the managed objects what they were after a revision, in a new one.",
		},
	})...)
}

// keeping lets endpoints answer that there is no store where there is none.
func (s *Server) keeping(list []*endpoint) []*endpoint {
	if s.opt.Managed == nil {
		for _, e := range list {
			e.serve = func(http.ResponseWriter, *http.Request) (any, *Fault) {
				return nil, fault(http.StatusConflict, "the gateway has no state store to keep objects in; start it with --state sqlite, or with the URL of a PostgreSQL database, or change its files")
			}
		}
	}
	return list
}

// changeOptions reads the parameters of a change. If-Match is expect by another name,
// with the ETag of an earlier reply.
func changeOptions(r *http.Request) (o objects.Options, f *Fault) {
	q := r.URL.Query()
	o.Message = q.Get("message")
	if len(o.Message) > objects.MaxMessage {
		return o, fault(http.StatusBadRequest, "message has %d bytes; at most %d are kept", len(o.Message), objects.MaxMessage)
	}
	switch text := q.Get("dryRun"); text {
	case "", "false":
	case "true":
		o.DryRun = true
	default:
		return o, fault(http.StatusBadRequest, "dryRun must be true or false, not %q", text)
	}
	if text := q.Get("expect"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return o, fault(http.StatusBadRequest, "expect must be the number of a revision, not %q", text)
		}
		o.Expect = n
		return o, nil
	}
	c, f := condition(r)
	if f == nil && c.New {
		f = fault(http.StatusBadRequest, "If-None-Match has no meaning here; send If-Match, or expect=REVISION")
	}
	o.Expect = c.Version
	return o, f
}

func (s *Server) apply(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	o, f := changeOptions(r)
	if f != nil {
		return nil, f
	}
	text, f := readText(r, applyTypes)
	if f != nil {
		return nil, f
	}
	a, err := s.opt.Managed.Apply(r.Context(), actorOf(r), text, o)
	return s.applied(w, r, a, err)
}

func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	o, f := changeOptions(r)
	if f != nil {
		return nil, f
	}
	n := objects.Name{Kind: r.PathValue("kind"), Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	if n.Namespace == "-" {
		n.Namespace = ""
	}
	a, err := s.opt.Managed.Delete(r.Context(), actorOf(r), n, o)
	return s.applied(w, r, a, err)
}

func (s *Server) rollback(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	o, f := changeOptions(r)
	if f != nil {
		return nil, f
	}
	number, f := revisionNumber(r)
	if f != nil {
		return nil, f
	}
	a, err := s.opt.Managed.Rollback(r.Context(), actorOf(r), number, o)
	return s.applied(w, r, a, err)
}

func revisionNumber(r *http.Request) (int64, *Fault) {
	n, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil || n < 1 {
		return 0, fault(http.StatusBadRequest, "%q is no number of a revision", r.PathValue("number"))
	}
	return n, nil
}

// applied is the reply to a change.
func (s *Server) applied(w http.ResponseWriter, r *http.Request, a *objects.Applied, err error) (any, *Fault) {
	if err != nil {
		return nil, s.changeFault(r, err)
	}
	a.Changes = append([]objects.Change{}, a.Changes...)
	a.Warnings = append([]objects.Diagnostic{}, a.Warnings...)
	if a.Revision > 0 {
		w.Header().Set("ETag", etag(a.Revision))
	}
	return a, nil
}

// changeFault gives an error of a change the form of a reply.
func (s *Server) changeFault(r *http.Request, err error) *Fault {
	var wrong *objects.InvalidError
	if errors.As(err, &wrong) {
		f := fault(http.StatusUnprocessableEntity, "nothing was changed: what was sent is not valid, or the configuration would not be with it")
		f.Errors = wrong.Errors
		return f
	}
	for _, known := range []struct {
		err    error
		status int
	}{
		{objects.ErrInFile, http.StatusConflict},
		{objects.ErrChanged, http.StatusConflict},
		{objects.ErrFiles, http.StatusConflict},
		{objects.ErrSeal, http.StatusConflict},
		{objects.ErrForgotten, http.StatusGone},
		{objects.ErrRole, http.StatusForbidden},
		{objects.ErrTooMuch, http.StatusRequestEntityTooLarge},
	} {
		if errors.Is(err, known.err) {
			return fault(known.status, "%v", err)
		}
	}
	return s.faultOf(r, err)
}

func (s *Server) listRevisions(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	ask := objects.Query{Limit: defaultRevisionPage}
	if text := q.Get("object"); text != "" {
		n, err := objects.ParseName(text)
		if err != nil {
			return nil, fault(http.StatusBadRequest, "object: %v", err)
		}
		ask.Object = &n
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > objects.MaxPage {
			return nil, fault(http.StatusBadRequest, "limit must be 1 to %d", objects.MaxPage)
		}
		ask.Limit = n
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return nil, fault(http.StatusBadRequest, "before must be the number of a revision")
		}
		ask.Before = n
	}
	list, err := s.opt.Revisions.Revisions(r.Context(), ask)
	if err != nil {
		return nil, s.changeFault(r, err)
	}
	if len(list) == ask.Limit {
		q.Set("before", strconv.FormatInt(list[len(list)-1].Number, 10))
		w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+">; rel=\"next\"")
	}
	out := make([]objects.Revision, len(list))
	for i, x := range list {
		x.Changes = append([]objects.ObjectChange{}, x.Changes...)
		for j := range x.Changes {
			c := &x.Changes[j]
			c.Before, c.After, c.BeforeValue, c.AfterValue = "", "", nil, nil
		}
		out[i] = x
	}
	return out, nil
}

func (s *Server) revision(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	number, f := revisionNumber(r)
	if f != nil {
		return nil, f
	}
	x, err := s.opt.Revisions.Revision(r.Context(), number)
	if err != nil {
		return nil, s.changeFault(r, err)
	}
	out := *x
	out.Changes = append([]objects.ObjectChange{}, x.Changes...)
	for i := range out.Changes {
		Conceal(&out.Changes[i])
	}
	return &out, nil
}
