package extauthz

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Fields of envoy.service.auth.v3: CheckResponse and what is in it.
const (
	fieldStatus   protowire.Number = 1
	fieldDenied   protowire.Number = 2
	fieldOK       protowire.Number = 3
	fieldMetadata protowire.Number = 4

	fieldCode protowire.Number = 1 // of google.rpc.Status and HttpStatus

	fieldDeniedStatus  protowire.Number = 1
	fieldDeniedHeaders protowire.Number = 2
	fieldDeniedBody    protowire.Number = 3

	fieldOKHeaders         protowire.Number = 2
	fieldOKMetadata        protowire.Number = 3 // deprecated, and still sent
	fieldOKRemove          protowire.Number = 5
	fieldOKResponseHeaders protowire.Number = 6
	fieldOKSetQuery        protowire.Number = 7
	fieldOKRemoveQuery     protowire.Number = 8
)

// answerSize is what an answer takes beside what is in it.
const answerSize = 512

// answerGRPC reads the answer of a call.
func (s *Server) answerGRPC(q *callout.Call) (*Answer, error) {
	text, err := q.Message()
	if err != nil {
		return nil, err
	}
	a, err := s.parseCheck(bytes.Clone(text)) // what is read points into it
	if err != nil {
		return nil, malformed("%w", err)
	}
	a.shared = a.Allowed && len(a.client) == 0
	a.size = answerSize + 4*len(text)
	return a, nil
}

// check is a CheckResponse while it is read.
type check struct {
	*Answer
	server        *Server
	code          uint64
	denied        bool
	admitted      mutations // response_headers_to_add
	refusal       mutations // of the denied response
	metadata, old map[string]any
	count         int
}

// parseCheck reads a CheckResponse, which must not change afterwards.
func (s *Server) parseCheck(text []byte) (*Answer, error) {
	c := &check{Answer: &Answer{}, server: s}
	err := callout.EachField(text, func(field protowire.Number, v []byte, _ uint64) (err error) {
		switch {
		case v == nil:
		case field == fieldStatus:
			return callout.EachField(v, func(field protowire.Number, _ []byte, n uint64) error {
				if field == fieldCode {
					c.code = n
				}
				return nil
			})
		case field == fieldDenied:
			c.denied = true
			return callout.EachField(v, c.readDenied)
		case field == fieldOK:
			return callout.EachField(v, c.readOK)
		case field == fieldMetadata:
			c.metadata, err = parseStruct(v)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.answer()
}

// answer decides. The status alone says whether the request may go on; one that is
// absent is OK.
func (c *check) answer() (*Answer, error) {
	a := c.Answer
	if c.metadata == nil {
		c.metadata = c.old
	}
	if len(c.metadata) > 0 {
		a.Claims = filter.NewClaims(c.metadata)
	}
	a.Allowed = c.code == 0
	switch {
	case a.Allowed && c.denied:
		return nil, fmt.Errorf("the status is OK, and the response is a denied one")
	case a.Allowed:
		a.client = c.admitted
		return a, nil
	}
	// What would have changed the request has no meaning.
	a.upstream, a.dropped, a.query, a.droppedQuery = nil, nil, nil, nil
	a.client = nil
	if a.own = c.denied; a.own {
		a.client = c.refusal
		if a.status == 0 {
			a.status = deniedStatus
		}
		if a.status < 200 || a.status > 599 {
			return nil, fmt.Errorf("status %d cannot deny a request", a.status)
		}
	}
	return a, nil
}

func (c *check) readDenied(field protowire.Number, v []byte, _ uint64) error {
	switch {
	case v == nil:
	case field == fieldDeniedStatus:
		return callout.EachField(v, func(field protowire.Number, _ []byte, n uint64) error {
			if field == fieldCode {
				c.status = int(min(n, 1000))
			}
			return nil
		})
	case field == fieldDeniedHeaders:
		return c.readOption(v, &c.refusal, nil)
	case field == fieldDeniedBody:
		c.body = v
	}
	return nil
}

func (c *check) readOK(field protowire.Number, v []byte, _ uint64) (err error) {
	switch {
	case v == nil:
	case field == fieldOKHeaders:
		return c.readOption(v, &c.upstream, &c.server.take)
	case field == fieldOKMetadata:
		c.old, err = parseStruct(v)
	case field == fieldOKRemove:
		if err = c.counted(v, nil); err == nil && changeable(v) {
			c.dropped = append(c.dropped, v)
		}
	case field == fieldOKResponseHeaders:
		return c.readOption(v, &c.admitted, nil)
	case field == fieldOKSetQuery:
		var p parameter
		err = callout.EachField(v, func(field protowire.Number, v []byte, _ uint64) error {
			switch field {
			case 1:
				p.name = v
			case 2:
				p.value = v
			}
			return nil
		})
		if c.count++; len(p.name) > 0 {
			c.query = append(c.query, p)
		}
	case field == fieldOKRemoveQuery:
		c.count++
		c.droppedQuery = append(c.droppedQuery, v)
	}
	if err == nil && c.count > maxMutations {
		return fmt.Errorf("it changes more than %d things", maxMutations)
	}
	return err
}

// readOption reads a HeaderValueOption. Without an append or an append_action of
// its own, a field replaces what there is, as external_auth.proto says of headers;
// the fields of responses to requests that are let through are added.
func (c *check) readOption(v []byte, to *mutations, only *names) error {
	m := mutation{how: replaces}
	if to == &c.admitted {
		m.how = appends
	}
	var raw []byte
	err := callout.EachField(v, func(field protowire.Number, v []byte, n uint64) error {
		switch {
		case field == 1 && v != nil: // HeaderValue
			return callout.EachField(v, func(field protowire.Number, v []byte, _ uint64) error {
				switch field {
				case 1:
					m.name = v
				case 2:
					m.value = v
				case 3:
					raw = v
				}
				return nil
			})
		case field == 2 && v != nil: // google.protobuf.BoolValue
			m.how = replaces
			return callout.EachField(v, func(field protowire.Number, _ []byte, n uint64) error {
				if field == 1 && n != 0 {
					m.how = appends
				}
				return nil
			})
		case field == 3 && v == nil && n > 0 && n < uint64(hows):
			m.how = how(n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(m.value) == 0 {
		m.value = raw
	}
	if err := c.counted(m.name, m.value); err != nil {
		return err
	}
	if changeable(m.name) && (only == nil || only.has(m.name)) {
		*to = append(*to, m)
	}
	return nil
}

func (c *check) counted(name, value []byte) error {
	if c.count++; c.count > maxMutations {
		return fmt.Errorf("it changes more than %d things", maxMutations)
	}
	return checkField(name, value)
}
