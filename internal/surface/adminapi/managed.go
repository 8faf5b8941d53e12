package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/manage/access"
)

// maxImport bounds what is imported at a time: a hundred thousand consumers have
// some 30 MB.
const maxImport = 128 << 20

var (
	manifestTypes = []string{"application/json", "application/yaml"}
	patchTypes    = []string{"application/merge-patch+json", "application/json"}
)

// managed are the endpoints of what is in the state store.
func (s *Server) managed() []*endpoint {
	const consumer, keys = "/v1/consumers/{namespace}/{name}", "/v1/consumers/{namespace}/{name}/keys"
	return s.stored([]*endpoint{
		{
			method: "POST", path: "/v1/consumers", role: access.Operator, takesText: manifestTypes, gives: map[string]any{}, success: 201, serve: s.createConsumer,
			summary: "Makes a consumer from its manifest. The header ETag of the reply has its version.",
		},
		{
			method: "GET", path: consumer, role: access.Viewer, gives: map[string]any{}, serve: s.consumer,
			summary: "A consumer's manifest, with its version in the header ETag. Viewers do not see hashes of keys and passwords.",
		},
		{
			method: "PUT", path: consumer, role: access.Operator, takesText: manifestTypes, gives: map[string]any{}, creates: true, serve: s.replaceConsumer,
			summary: "Writes a consumer's manifest, wholly. If-Match names the version that it must have, If-None-Match: * that there must be none.",
		},
		{
			method: "PATCH", path: consumer, role: access.Operator, takesText: patchTypes, gives: map[string]any{}, serve: s.patchConsumer,
			summary: "Changes a consumer's manifest by a merge patch (RFC 7396). If-Match names the version that it must have.",
		},
		{
			method: "DELETE", path: consumer, role: access.Operator, success: 204, serve: s.deleteConsumer,
			summary: "Takes a consumer away with its credentials. If-Match names the version that it must have.",
		},
		{
			method: "POST", path: keys, role: access.Operator, takes: access.NewKey{}, gives: access.CreatedKey{}, success: 201, serve: s.createKey,
			summary: "Makes an API key, or with client the secret of a client, for a consumer. The reply has the key, which is shown this once.",
		},
		{
			method: "POST", path: keys + "/{key}/rotate", role: access.Operator, takes: access.NewKey{}, gives: access.CreatedKey{}, success: 201, serve: s.rotateKey,
			summary: "Makes a key that takes over from another one, which is accepted for a day more, or for overlapSeconds.",
		},
		{
			method: "POST", path: keys + "/rotate", role: access.Operator, takes: access.NewKey{}, gives: access.CreatedKey{}, success: 201, serve: s.rotateKeys,
			summary: "Makes an API key that takes over from all that the consumer has, which are accepted for a day more, or for overlapSeconds.",
		},
		{
			method: "DELETE", path: keys + "/{key}", role: access.Operator, success: 204, serve: s.revokeKey,
			summary: "Takes a credential away, a key or a password: it is accepted no longer.",
		},
		{
			method: "POST", path: "/v1/consumers/import", role: access.Operator, takesText: []string{"application/yaml", "application/json"}, most: maxImport, slow: true,
			query: map[string]string{"dryRun": "true only says what would be done"}, gives: access.Imported{}, serve: s.importConsumers,
			summary: "Writes all Consumers of a YAML stream, or none of them. Others stay as they are.",
		},
		{
			method: "GET", path: "/v1/consumers/export", role: access.Operator, media: "application/yaml", slow: true, serve: s.exportConsumers,
			query:   map[string]string{"namespace": "only consumers of this namespace"},
			summary: "The consumers of the state store as a YAML stream, with the hashes of their keys and passwords.",
		},
		{
			method: "GET", path: "/v1/tokens", role: access.Admin, gives: []access.Token{}, serve: s.tokens,
			summary: "Tokens of this API, without their texts.",
		},
		{
			method: "POST", path: "/v1/tokens", role: access.Admin, takes: access.NewToken{}, gives: access.CreatedToken{}, success: 201, serve: s.createToken,
			summary: "Makes a token. The reply has its text, which is shown this once.",
		},
		{
			method: "DELETE", path: "/v1/tokens/{id}", role: access.Admin, success: 204, serve: s.revokeToken,
			summary: "Takes a token away, unless it is the last one of an admin that does not expire.",
		},
		{
			method: "GET", path: "/v1/audit", role: access.Admin, gives: []access.Change{}, serve: s.audit,
			query: map[string]string{
				"object": "only changes of this one, as in Consumer/default/acme", "actor": "only changes by this one",
				"before": "only changes with a lower id; the header Link names the next page", "limit": "how many at most, 1 to 1000 (100)",
			},
			summary: "Changes of what is in the state store, the latest first: who, what, before, after. Secrets are hidden.",
		},
	}, &endpoint{
		method: "GET", path: "/v1/whoami", role: access.Viewer, gives: access.Actor{}, summary: "Who asks, and in which role.",
		serve: func(_ http.ResponseWriter, r *http.Request) (any, *Fault) { return actorOf(r), nil },
	})
}

// stored lets endpoints answer that there is no store where there is none.
func (s *Server) stored(list []*endpoint, more ...*endpoint) []*endpoint {
	if s.opt.Access == nil {
		for _, e := range list {
			e.serve = func(http.ResponseWriter, *http.Request) (any, *Fault) {
				return nil, fault(http.StatusConflict, "the gateway has no state store; start it with --state sqlite, or with the URL of a PostgreSQL database")
			}
		}
	}
	return append(list, more...)
}

// faultOf gives an error of the service the form of a reply.
func (s *Server) faultOf(r *http.Request, err error) *Fault {
	var (
		wrong *access.InvalidError
		gone  interface{ NotFound() bool }
		busy  interface{ Unavailable() bool }
	)
	if errors.As(err, &wrong) {
		f := fault(http.StatusUnprocessableEntity, "what was sent is not valid")
		for _, p := range wrong.Problems {
			f.Problems = append(f.Problems, Problem{
				Severity: p.Severity, Code: p.Code, Object: p.Object, Field: p.Field, Place: Place{p.File, p.Line, p.Column}, Message: p.Message, Remedy: p.Remedy,
			})
		}
		return f
	}
	if errors.As(err, &gone) {
		return fault(http.StatusNotFound, "%v", err)
	}
	for _, known := range []struct {
		err    error
		status int
	}{
		{access.ErrChanged, http.StatusPreconditionFailed},
		{access.ErrExists, http.StatusConflict},
		{access.ErrInFile, http.StatusConflict},
		{access.ErrTaken, http.StatusConflict},
		{access.ErrLast, http.StatusConflict},
	} {
		if errors.Is(err, known.err) {
			return fault(known.status, "%v", err)
		}
	}
	s.opt.Log.Error("the state store failed", "path", r.URL.Path, "error", err)
	if errors.As(err, &busy) {
		var known interface{ Reason() string }
		if errors.As(err, &known) {
			return fault(http.StatusServiceUnavailable, "the state store cannot be used now: %s; the gateway's log says more, and what serves goes on", known.Reason())
		}
		return fault(http.StatusServiceUnavailable, "the state store cannot be used now; try again")
	}
	return fault(http.StatusInternalServerError, "the state store failed; the gateway's log says why")
}

// readText reads a body of one of the types, with tabs as spaces where it is JSON,
// which YAML's reader would not have.
func readText(r *http.Request, types []string) ([]byte, *Fault) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, media) {
		return nil, fault(http.StatusUnsupportedMediaType, "send %s", strings.Join(types, " or "))
	}
	text, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fault(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
	case err != nil:
		return nil, fault(http.StatusBadRequest, "the body cannot be read: %v", err)
	}
	if strings.HasSuffix(media, "json") {
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	return text, nil
}

// condition reads If-Match and If-None-Match (RFC 9110 §13.1).
func condition(r *http.Request) (c access.Condition, f *Fault) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case none == "*":
		c.New = true
	case none != "":
		return c, fault(http.StatusBadRequest, "If-None-Match may only be *")
	}
	if match == "" || match == "*" {
		return c, nil
	}
	n, err := strconv.ParseInt(strings.Trim(match, `"`), 10, 64)
	if err != nil || n <= 0 || etag(n) != match {
		return c, fault(http.StatusBadRequest, "If-Match must be the ETag of an earlier reply, such as %s", etag(17))
	}
	c.Version = n
	return c, nil
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// manifest is the reply with a consumer.
func manifest(w http.ResponseWriter, r *http.Request, rec *access.Record) json.RawMessage {
	w.Header().Set("ETag", etag(rec.Version))
	return rec.Manifest(actorOf(r).Role.Includes(access.Operator))
}

func (s *Server) createConsumer(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	text, f := readText(r, manifestTypes)
	if f != nil {
		return nil, f
	}
	rec, _, err := s.opt.Access.Put(r.Context(), actorOf(r), "", "", text, access.Condition{New: true})
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	w.Header().Set("Location", "/v1/consumers/"+rec.Namespace+"/"+rec.Name)
	return created{manifest(w, r, rec)}, nil
}

func (s *Server) consumer(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	rec, err := s.opt.Access.Consumer(r.Context(), r.PathValue("namespace"), r.PathValue("name"))
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return manifest(w, r, rec), nil
}

func (s *Server) replaceConsumer(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	c, f := condition(r)
	if f != nil {
		return nil, f
	}
	text, f := readText(r, manifestTypes)
	if f != nil {
		return nil, f
	}
	rec, isNew, err := s.opt.Access.Put(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), text, c)
	switch {
	case err != nil && c.New && errors.Is(err, access.ErrExists):
		return nil, fault(http.StatusPreconditionFailed, "%v", err)
	case err != nil:
		return nil, s.faultOf(r, err)
	case isNew:
		return created{manifest(w, r, rec)}, nil
	}
	return manifest(w, r, rec), nil
}

func (s *Server) patchConsumer(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	c, f := condition(r)
	if f != nil {
		return nil, f
	}
	patch, f := readText(r, patchTypes)
	if f != nil {
		return nil, f
	}
	if !json.Valid(patch) || !bytes.HasPrefix(bytes.TrimSpace(patch), []byte("{")) {
		return nil, fault(http.StatusBadRequest, "a merge patch is a JSON object")
	}
	rec, err := s.opt.Access.Edit(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), c, func(text []byte) ([]byte, error) {
		return mergePatch(text, patch)
	})
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return manifest(w, r, rec), nil
}

func (s *Server) deleteConsumer(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	c, f := condition(r)
	if f != nil {
		return nil, f
	}
	if err := s.opt.Access.Delete(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), c); err != nil {
		return nil, s.faultOf(r, err)
	}
	return nil, nil
}

func (s *Server) createKey(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q access.NewKey
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	k, err := s.opt.Access.CreateKey(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), q)
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return k, nil
}

func (s *Server) rotateKey(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q access.NewKey
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	k, err := s.opt.Access.RotateKey(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), r.PathValue("key"), q)
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return k, nil
}

func (s *Server) rotateKeys(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	var q access.NewKey
	if f := decode(r, &q); f != nil {
		return nil, f
	}
	k, err := s.opt.Access.RotateKeys(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), q)
	if err != nil {
		return nil, s.faultOf(r, err)
	}
	return k, nil
}

func (s *Server) revokeKey(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	if err := s.opt.Access.RevokeKey(r.Context(), actorOf(r), r.PathValue("namespace"), r.PathValue("name"), r.PathValue("key")); err != nil {
		return nil, s.faultOf(r, err)
	}
	return nil, nil
}
