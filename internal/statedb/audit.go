package statedb

import (
	"context"
	"time"
)

// Audit is the area of the audit log.
const Audit Area = "audit"

// AuditRecord is one change.
type AuditRecord struct {
	ID                int64
	At                time.Time
	Actor, Role, Peer string
	Action, Object    string
	// Was and Became are JSON; empty where there was or is nothing.
	Was, Became string
}

// AuditFilter bounds what is read. Empty fields do not.
type AuditFilter struct {
	Object, Actor string
	// Before is the number that those wanted are below; zero begins with the latest.
	Before int64
	Limit  int
}

// AddAudit adds a change, with the next number, and takes those away that are
// older than keep.
func (tx *Tx) AddAudit(ctx context.Context, r *AuditRecord, keep time.Duration) (err error) {
	if r.ID, err = tx.Advance(ctx, Audit); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO audit (id, at, actor, role, peer, action, object, was, became) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.ID, r.At.UnixMilli(), r.Actor, r.Role, r.Peer, r.Action, r.Object, r.Was, r.Became)
	if err != nil {
		return err
	}
	if tx.trimmed {
		return nil
	}
	tx.trimmed = true
	return tx.trimAudit(ctx, r.At.Add(-keep).UnixMilli())
}

// AuditRecords reads changes, the latest first.
func (tx *Tx) AuditRecords(ctx context.Context, q AuditFilter) (out []AuditRecord, err error) {
	query, args := "SELECT id, at, actor, role, peer, action, object, was, became FROM audit WHERE 1 = 1", []any(nil)
	and := func(condition string, arg any) { query, args = query+" AND "+condition, append(args, arg) }
	if q.Object != "" {
		and("object = ?", q.Object)
	}
	if q.Actor != "" {
		and("actor = ?", q.Actor)
	}
	if q.Before > 0 {
		and("id < ?", q.Before)
	}
	err = tx.Each(ctx, query+" ORDER BY id DESC LIMIT ?", append(args, q.Limit), func(scan func(...any) error) error {
		var r AuditRecord
		var at int64
		if err := scan(&r.ID, &at, &r.Actor, &r.Role, &r.Peer, &r.Action, &r.Object, &r.Was, &r.Became); err != nil {
			return err
		}
		r.At = time.UnixMilli(at).UTC()
		out = append(out, r)
		return nil
	})
	return out, err
}
