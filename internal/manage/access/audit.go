package access

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gridway/gridway/internal/statedb"
)

// AuditKept is how long changes stay in the audit log.
const AuditKept = 400 * 24 * time.Hour

// MaxPage bounds the items of one page.
const MaxPage = 1000

// Change is an entry of the audit log.
type Change struct {
	// ID counts the changes; a page of older ones begins before one.
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	Role  string    `json:"role"`
	Peer  string    `json:"peer,omitempty"`
	// Action is create, update, delete, import, or what was done to a key or a
	// token.
	Action string `json:"action"`
	// Object is "Consumer/namespace/name", "Token/id", "JoinToken/id", "Identity/SPIFFE ID" or
	// "Certificate/serial".
	Object string `json:"object"`
	// Before and After are the object without its secrets.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// AuditQuery asks for changes.
type AuditQuery struct {
	Object, Actor string
	Before        int64
	Limit         int
}

// Audit reads changes, the latest first.
func (s *Service) Audit(ctx context.Context, q AuditQuery) ([]Change, error) {
	var rows []statedb.AuditRecord
	err := s.db.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows, err = tx.AuditRecords(ctx, statedb.AuditFilter{Object: q.Object, Actor: q.Actor, Before: q.Before, Limit: pageSize(q.Limit)})
		return err
	})
	out := []Change{}
	for _, r := range rows {
		c := Change{ID: r.ID, At: r.At, Actor: r.Actor, Role: r.Role, Peer: r.Peer, Action: r.Action, Object: r.Object}
		if r.Was != "" {
			c.Before = json.RawMessage(r.Was)
		}
		if r.Became != "" {
			c.After = json.RawMessage(r.Became)
		}
		out = append(out, c)
	}
	return out, err
}

func pageSize(asked int) int {
	if asked <= 0 || asked > MaxPage {
		return MaxPage
	}
	return asked
}

// Note adds a change of another area to the audit log, as a part of it. Before and after
// are nil for nothing, and have no secrets.
func (s *Service) Note(ctx context.Context, tx *statedb.Tx, by Actor, action, object string, before, after any) error {
	return s.note(ctx, tx, by, action, object, before, after)
}

// Record adds to the audit log what somebody has done that changes nothing, such as a look
// at traffic. What has no secrets.
func (s *Service) Record(ctx context.Context, by Actor, action, object string, what any) error {
	return s.db.Write(ctx, func(tx *statedb.Tx) error { return s.note(ctx, tx, by, action, object, nil, what) })
}

// note adds a change to the audit log, as a part of it. Before and after are nil
// for nothing.
func (s *Service) note(ctx context.Context, tx *statedb.Tx, by Actor, action, object string, before, after any) error {
	r := &statedb.AuditRecord{At: s.time(), Actor: by.Name, Role: string(by.Role), Peer: by.Peer, Action: action, Object: object}
	for _, side := range []struct {
		from any
		to   *string
	}{{before, &r.Was}, {after, &r.Became}} {
		if side.from == nil {
			continue
		}
		text, err := json.Marshal(side.from)
		if err != nil {
			return err
		}
		*side.to = string(text)
	}
	return tx.AddAudit(ctx, r, AuditKept)
}
