// Package extauthz asks servers of the configuration about requests: who sends
// them, and whether they may go on. It speaks envoy.service.auth.v3 over gRPC, and
// HTTP. What a server says is an Answer, which is immutable; filters apply it. It
// owns no goroutines; filters and package proxy import it.
package extauthz

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// maxAnswer bounds an answer in bytes.
	maxAnswer = 128 << 10
	// maxMutations bounds what an answer changes.
	maxMutations = 256
)

// Server is one that is asked.
type Server struct {
	cfg                        *ir.ExternalAuth
	send, take, deny, admitted names
	// context is what is sent with each question by gRPC, encoded.
	context []byte
	cache   *Cache // nil if answers are not remembered
	// recalled is told of each question whether its answer was remembered; it may be nil.
	recalled func(hit bool)
}

// New makes a server. Its endpoints are those of the cluster that cfg names. What
// it answers to an owner's requests is remembered in caches, where cfg says so;
// these may be nil.
func New(cfg *ir.ExternalAuth, owner string, caches *Caches) *Server {
	s := &Server{
		cfg: cfg, send: newNames(cfg.Send), take: newNames(cfg.Take),
		deny: newNames(cfg.Denied), admitted: newNames(cfg.Allowed),
	}
	var m message
	for _, h := range cfg.Context {
		m.pair(fieldContext, []byte(h.Name), []byte(h.Value))
	}
	s.context = m.b
	if cfg.Cache != nil && caches != nil {
		s.cache = caches.of(owner, cfg)
	}
	return s
}

// Counting has f told of each request, where answers are remembered, whether its
// answer was.
func (s *Server) Counting(f func(hit bool)) *Server {
	s.recalled = f
	return s
}

// Config is what the server was made from.
func (s *Server) Config() *ir.ExternalAuth { return s.cfg }

var errUnresolved = errors.New("the backend could not be resolved")

// Ask has the server answer about the request. An error is that it cannot say.
func (s *Server) Ask(x *filter.Exchange) (*Answer, error) {
	if s.cfg.Cluster == "" {
		return nil, errUnresolved
	}
	if s.cache == nil {
		return s.ask(x, false)
	}
	return s.cache.answer(x, s.key(x), s.cfg.Cache.TTL, s.recalled, func(shared bool) (*Answer, error) { return s.ask(x, shared) })
}

// ask is Ask without a memory. Shared is that others wait for the answer.
func (s *Server) ask(x *filter.Exchange, shared bool) (*Answer, error) {
	body, whole, err := s.body(x)
	if err != nil {
		return nil, err
	}
	q := callout.New()
	defer q.Release()
	q.Cluster, q.Timeout, q.MaxAnswer, q.Shared = s.cfg.Cluster, s.cfg.Timeout, maxAnswer, shared
	read := s.answerHTTP
	if s.cfg.GRPC {
		s.askGRPC(q, x, body, whole)
		read = s.answerGRPC
	} else {
		s.askHTTP(q, x)
		q.Body = body
	}
	switch err := x.Call(q); {
	case errors.Is(err, callout.ErrImagined):
		return &Answer{Allowed: true}, nil
	case err != nil:
		return nil, err
	}
	return read(q)
}

// ErrAnswered is that the exchange has its answer without the server's: its body is
// too long, or could not be read.
var ErrAnswered = errors.New("the request cannot be asked about")

// body is what the server is sent of the request's body.
func (s *Server) body(x *filter.Exchange) (body []byte, whole bool, err error) {
	if s.cfg.MaxBody == 0 || x.HoldRequest == nil {
		return nil, true, nil
	}
	body, whole, ok := x.HoldRequest(s.cfg.MaxBody)
	if ok && !whole && !s.cfg.PartialBody {
		x.Fail(413, filter.BodyTooLarge, "the request's body is longer than is asked about")
		ok = false
	}
	if !ok {
		return nil, false, ErrAnswered
	}
	return body, whole, nil
}

// Replaced takes out of the request what the server alone may say.
func (s *Server) Replaced(x *filter.Exchange) {
	if s.cfg.Replace {
		for _, name := range s.take.list {
			x.Withhold(name)
		}
	}
}

// Responses gives responses what servers have said of them, who have let their
// requests through.
type Responses struct{}

// OnResponse writes that.
func (Responses) OnResponse(x *filter.Exchange) {
	for _, f := range x.Kept.Admitted {
		f.OnResponse(x)
	}
}

// StatusError is an answer by HTTP that says that the server has failed.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("the server answers with status %d", int(e)) }

// malformed is an answer that cannot be understood.
func malformed(format string, args ...any) error {
	return &callout.Error{Kind: callout.Protocol, Err: fmt.Errorf(format, args...)}
}

// names is a set of names of headers.
type names struct {
	all  bool
	list [][]byte
}

func newNames(s ir.HeaderSet) names {
	n := names{all: s.All}
	for _, name := range s.Names {
		n.list = append(n.list, []byte(name))
	}
	return n
}

func (n *names) has(name []byte) bool { return n.all || n.lists(name) }

func (n *names) lists(name []byte) bool {
	return slices.ContainsFunc(n.list, func(one []byte) bool { return httpmsg.EqualFold(one, name) })
}

// asks tells whether a server is sent a header of the request. What a mesh says of the
// caller is a credential, by which others can be asked in the caller's name: it is sent
// to who is meant to have it alone.
func (n *names) asks(f *httpmsg.Field) bool {
	if f.ID == httpmsg.NameGridwayCaller {
		return n.lists(f.Name)
	}
	return n.has(f.Name)
}
