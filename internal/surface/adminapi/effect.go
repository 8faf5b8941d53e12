package adminapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
)

// Effects says what a change of the configuration would do, without making it.
type Effects interface {
	// Effect compares the configuration in service with one in which the candidate's
	// objects have taken their place. Secrets are hidden there, not here. The error is a
	// *CandidateError, or that of ctx.
	Effect(ctx context.Context, c Candidate) (*Effect, error)
	// Schema is a JSON Schema (draft 2020-12) of any object, by apiVersion and kind,
	// compressed by gzip.
	Schema() []byte
}

// Candidate is a change that has not been made.
type Candidate struct {
	// Text is YAML or JSON, of one or many objects, which are added or replaced.
	Text []byte
	// Delete are objects that are taken away: "Kind/namespace/name", or "Kind/name" of a
	// kind without namespaces.
	Delete []string
}

// CandidateError says why nothing can be said about a candidate.
type CandidateError struct{ Why string }

func (e *CandidateError) Error() string { return e.Why }

// Effect is what a change would do. Where it is not valid, the rest of it is empty.
type Effect struct {
	// Valid is that nothing is refused because of the change.
	Valid bool `json:"valid"`
	// Revision is the one in service, with which the candidate is compared.
	Revision uint64 `json:"revision"`
	// Problems are those of the candidate's objects, and those that others have because
	// of it. A place without a file is one of the text that was sent.
	Problems []Problem `json:"problems"`
	// Objects differ by themselves, Listeners in what holds for all that they serve.
	Objects   []delta.ObjectChange  `json:"objects"`
	Listeners []delta.SettingChange `json:"listeners"`
	// Behaviour are requests, made up from the rules of both sides, that would be served
	// otherwise, in groups that differ alike. Omitted counts groups beyond the first 200.
	Behaviour []BehaviourChange `json:"behaviour"`
	Omitted   int               `json:"behaviourOmitted,omitempty"`
	// Unseen are fields whose values are hidden, so that they cannot be compared.
	Unseen []string `json:"notCompared,omitempty"`
	// Tried is how many requests were compared; Bounded is that not all pairs of matches
	// that overlap have one among them.
	Tried   int  `json:"requestsTried"`
	Bounded bool `json:"pairsBounded,omitempty"`
	// Replay is what would become of requests that have passed lately; it is left out
	// where nobody remembers any, and Unfinished or the replay's Unreached may say why.
	Replay *replay.Passed `json:"replay,omitempty"`
	// InFiles are objects of the change that files have: there they have to be changed.
	InFiles []PlacedObject `json:"inFiles"`
	// Unfinished says what is missing above, for want of time.
	Unfinished string `json:"unfinished,omitempty"`
}

// BehaviourChange are requests that would be served otherwise in the same way.
type BehaviourChange struct {
	Count   int            `json:"count"`
	Aspects []delta.Aspect `json:"aspects"`
	// Examples are the first of them, five at most.
	Examples []RequestExample `json:"examples"`
}

// RequestExample is a request that was made up.
type RequestExample struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers []ir.Header `json:"headers,omitempty"`
}

// PlacedObject is an object and where it is written.
type PlacedObject struct {
	Object string `json:"object"`
	Place  Place  `json:"place"`
}

const (
	// maxCandidate bounds the text of a change, in bytes.
	maxCandidate = 10 << 20
	maxDeletes   = 1000
	// effectWithin is how long may be reckoned, and how long may be waited for the turn.
	effectWithin = 10 * time.Second

	maxBehaviour        = 200
	maxBehaviourExample = 5
)

// effects are the endpoints of what an editor shows.
func (s *Server) effects() []*endpoint {
	return []*endpoint{
		{
			method: "POST", path: "/v1/effect", role: access.Viewer, takesText: manifestTypes, most: maxCandidate, gives: Effect{}, serve: s.effect,
			query: map[string]string{
				"delete":   "an object that the change takes away, KIND/NAMESPACE/NAME or KIND/NAME; may be given up to 1000 times",
				"rollback": "the number of a revision: the change makes the managed objects what they were after it; without a body and delete",
			},
			summary: "What a change of the configuration would do, without making it: problems, objects, listeners and requests that differ, and " +
				"what would become of requests that have passed lately. One is reckoned at a time, for 10 s at most.",
		},
		{
			method: "GET", path: "/v1/schema", role: access.Viewer, media: "application/schema+json", serve: s.schema,
			summary: "A JSON Schema (draft 2020-12) of any object of the configuration, chosen by apiVersion and kind.",
		},
	}
}

func (s *Server) effect(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	text, f := readText(r, manifestTypes)
	if f != nil {
		return nil, f
	}
	c := Candidate{Text: text, Delete: r.URL.Query()["delete"]}
	if len(c.Delete) > maxDeletes {
		return nil, fault(http.StatusBadRequest, "delete is given %d times; %d objects at most may be taken away at once", len(c.Delete), maxDeletes)
	}
	if number := r.URL.Query().Get("rollback"); number != "" {
		if len(text)+len(c.Delete) > 0 {
			return nil, fault(http.StatusBadRequest, "rollback is a change by itself: send no body and no delete with it")
		}
		if c, f = s.rollbackCandidate(r, number); f != nil {
			return nil, f
		}
	}
	turn := time.NewTimer(effectWithin)
	defer turn.Stop()
	select {
	case s.reckoning <- struct{}{}:
		defer func() { <-s.reckoning }()
	case <-r.Context().Done():
		return nil, fault(http.StatusServiceUnavailable, "the request was given up")
	case <-turn.C:
		w.Header().Set("Retry-After", "1")
		return nil, fault(http.StatusServiceUnavailable, "the effects of other changes are being reckoned, one at a time; try again in a moment")
	}
	ctx, cancel := context.WithTimeout(r.Context(), effectWithin)
	defer cancel()
	e, err := s.opt.Effects.Effect(ctx, c)
	var wrong *CandidateError
	switch {
	case errors.As(err, &wrong):
		return nil, fault(http.StatusBadRequest, "%v", wrong)
	case err != nil:
		return nil, fault(http.StatusServiceUnavailable, "the effect could not be reckoned: %v", err)
	}
	return e.complete(), nil
}

// maxRollback is over how many revisions a rollback is reckoned.
const maxRollback = 1000

// rollbackCandidate is the change that makes managed objects what they were after a
// revision: of each that was changed since, the text before its first change.
func (s *Server) rollbackCandidate(r *http.Request, text string) (c Candidate, f *Fault) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 {
		return c, fault(http.StatusBadRequest, "rollback must be the number of a revision, not %q", text)
	}
	if s.opt.Revisions == nil {
		return c, fault(http.StatusConflict, "the gateway knows no revisions")
	}
	if _, err := s.opt.Revisions.Revision(r.Context(), number); err != nil {
		return c, s.changeFault(r, err)
	}
	later, err := s.opt.Revisions.Revisions(r.Context(), objects.Query{Limit: maxRollback})
	if err != nil {
		return c, s.changeFault(r, err)
	}
	type state struct {
		then string
		now  bool // whether it is there
	}
	states := map[objects.Name]*state{}
	var order []objects.Name
	for _, x := range later { // the latest first
		if x.Number <= number || x.Source != objects.API {
			continue
		}
		whole, err := s.opt.Revisions.Revision(r.Context(), x.Number)
		if err != nil {
			return c, s.changeFault(r, err)
		}
		for _, change := range whole.Changes {
			st := states[change.Name]
			if st == nil {
				st = &state{now: change.Op != objects.Deleted}
				states[change.Name] = st
				order = append(order, change.Name)
			}
			st.then = change.Before
		}
	}
	if n := len(later); n == maxRollback && later[n-1].Number > number+1 {
		return c, fault(http.StatusUnprocessableEntity, "there are more than %d revisions since %d", maxRollback, number)
	}
	for _, name := range order {
		switch st := states[name]; {
		case st.then != "":
			c.Text = append(append(c.Text, "---\n"...), strings.TrimRight(st.then, "\n")+"\n"...)
		case st.now:
			c.Delete = append(c.Delete, name.String())
		}
	}
	if len(c.Text)+len(c.Delete) == 0 {
		return c, fault(http.StatusUnprocessableEntity, "no managed object has changed since revision %d", number)
	}
	return c, nil
}

// complete gives lists that are empty the form of lists.
func (e *Effect) complete() *Effect {
	e.Problems = append([]Problem{}, e.Problems...)
	e.Objects = append([]delta.ObjectChange{}, e.Objects...)
	e.Listeners = append([]delta.SettingChange{}, e.Listeners...)
	e.Behaviour = append([]BehaviourChange{}, e.Behaviour...)
	e.InFiles = append([]PlacedObject{}, e.InFiles...)
	return e
}

// SetBehaviour groups requests that differ alike, and leaves out what is beyond the bounds.
func (e *Effect) SetBehaviour(list []delta.RequestChange) {
	for i, group := range delta.Alike(list) {
		if i >= maxBehaviour {
			e.Omitted++
			continue
		}
		b := BehaviourChange{Count: len(group), Aspects: group[0].Aspects}
		for _, c := range group[:min(len(group), maxBehaviourExample)] {
			b.Examples = append(b.Examples, RequestExample{Method: c.Method, URL: c.URL, Headers: c.Headers})
		}
		e.Behaviour = append(e.Behaviour, b)
	}
}

// Unfinish says that a part is missing.
func (e *Effect) Unfinish(format string, args ...any) {
	e.Unfinished = strings.TrimPrefix(e.Unfinished+"; "+fmt.Sprintf(format, args...), "; ")
}

func (s *Server) schema(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	packed := s.opt.Effects.Schema()
	w.Header().Set("Content-Type", "application/schema+json")
	w.Header().Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed) // the client is gone if this fails
		return nil, nil
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fault(http.StatusInternalServerError, "the schema cannot be read")
	}
	_, _ = io.Copy(w, plain)
	return nil, nil
}
