package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// Observer knows what passes; observe.Observer is one.
type Observer interface {
	// Tap gives events, each one JSON object, until ctx ends or take fails.
	Tap(ctx context.Context, query url.Values, only question.Only, take func(events [][]byte) error) error
}

const (
	// maxTapped bounds max of a tap.
	maxTapped = 1_000_000
	// stuckAfter is how long a reader may take nothing before its tap ends.
	stuckAfter = 15 * time.Second
	// maxProxies is how many values "proxy" may have.
	maxProxies = 64

	mediaLines  = "application/x-ndjson"
	mediaEvents = "text/event-stream"
)

// observation are the endpoints of what passes.
func (s *Server) observation() []*endpoint {
	query := map[string]string{
		"proxy": "only what this proxy sees: its name, or a part of it between slashes, as in NAMESPACE/SERVICE",
		"max":   fmt.Sprintf("how many events, after which it ends, 1 to %d", maxTapped),
	}
	for _, p := range tap.Parameters() {
		query[p.Name] = p.About
	}
	return []*endpoint{{
		method: "GET", path: "/v1/tap", role: access.Operator, query: query, gives: tap.Event{}, streams: []string{mediaLines, mediaEvents}, serve: s.tap,
		summary: "Shows what passes from now on, at this process and at the proxies of its mesh: one JSON object per line, or as server-sent events where Accept asks for text/event-stream. A parameter that is there several times means any of its values. It is written to the audit log.",
	}}
}

func (s *Server) tap(w http.ResponseWriter, r *http.Request) (any, *Fault) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault(http.StatusBadRequest, "the query of the URL cannot be read")
	}
	most, f := tapMax(values)
	if f != nil {
		return nil, f
	}
	proxies := values["proxy"]
	if len(proxies) > maxProxies {
		return nil, fault(http.StatusBadRequest, "proxy may be there %d times", maxProxies)
	}
	values.Del("proxy")
	values.Del("max")
	q, err := tap.FromValues(values)
	if err != nil {
		return nil, fault(http.StatusBadRequest, "%v", err)
	}
	if len(values.Encode()) > question.MaxQuery {
		return nil, fault(http.StatusBadRequest, "the parameters are longer than %d bytes together", question.MaxQuery)
	}
	if f := s.auditTap(r); f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(r.Context(), q.For)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	out := newEventWriter(w, r, most)
	err = s.opt.Observer.Tap(ctx, values, proxies, out.write)
	if err != nil && !out.begun {
		return nil, s.faultOf(r, err)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errEnough) {
		_ = out.write([][]byte{(&tap.Event{Type: tap.Unreached, Time: time.Now(), Why: err.Error()}).JSON()}) // the reader is gone if this fails
	}
	return nil, nil
}

// tapMax is how many events are wanted.
func tapMax(values url.Values) (int, *Fault) {
	text := values.Get("max")
	if !values.Has("max") {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxTapped {
		return 0, fault(http.StatusBadRequest, "max must be 1 to %d", maxTapped)
	}
	return n, nil
}

// auditTap notes who looks at what, and refuses a look that cannot be noted.
func (s *Server) auditTap(r *http.Request) *Fault {
	who := actorOf(r)
	s.opt.Log.Info("traffic is looked at", "actor", who.Name, "peer", who.Peer, "query", r.URL.RawQuery)
	if s.opt.Access == nil {
		return nil
	}
	if err := s.opt.Access.Record(r.Context(), who, "tap", "traffic", map[string]string{"query": r.URL.RawQuery}); err != nil {
		return s.faultOf(r, err)
	}
	return nil
}

// eventWriter sends events as lines, or as server-sent events.
type eventWriter struct {
	w      http.ResponseWriter
	c      *http.ResponseController
	sse    bool
	begun  bool
	buffer []byte
	// most is how many events may still be sent; 0 at the beginning is no bound.
	bounded bool
	left    int
}

func newEventWriter(w http.ResponseWriter, r *http.Request, most int) *eventWriter {
	e := &eventWriter{w: w, c: http.NewResponseController(w), sse: strings.Contains(r.Header.Get("Accept"), mediaEvents), bounded: most > 0, left: most}
	_ = e.c.SetReadDeadline(time.Time{}) // what cannot set deadlines has none
	return e
}

// begin sends the head, so that the reader knows that it is there.
func (e *eventWriter) begin() {
	if e.begun {
		return
	}
	e.begun = true
	media := mediaLines
	if e.sse {
		media = mediaEvents
	}
	e.w.Header().Set("Content-Type", media)
	e.w.Header().Set("X-Accel-Buffering", "no") // proxies on the way are not to gather it
	_ = e.c.SetWriteDeadline(time.Now().Add(stuckAfter))
	e.w.WriteHeader(http.StatusOK)
	_ = e.c.Flush()
}

var errEnough = errors.New("as many events as were asked for")

// write sends events. None at all begins the reply.
func (e *eventWriter) write(events [][]byte) error {
	e.begin()
	if e.bounded && len(events) > e.left {
		events = events[:e.left]
	}
	e.buffer = e.buffer[:0]
	for _, event := range events {
		if e.sse {
			e.buffer = append(e.buffer, "data: "...)
		}
		e.buffer = append(append(e.buffer, event...), '\n')
		if e.sse {
			e.buffer = append(e.buffer, '\n')
		}
	}
	e.left -= len(events)
	if len(e.buffer) > 0 {
		_ = e.c.SetWriteDeadline(time.Now().Add(stuckAfter))
		if _, err := e.w.Write(e.buffer); err != nil {
			return err
		}
		if err := e.c.Flush(); err != nil {
			return err
		}
	}
	if e.bounded && e.left <= 0 {
		return errEnough
	}
	return nil
}
