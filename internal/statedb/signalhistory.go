package statedb

import (
	"context"
	"fmt"
)

// SignalHistory is what passed over the edges of the service graph in some minutes.
type SignalHistory struct {
	// Slot is when they began, in Unix seconds, and Until how far they are known, in Unix
	// milliseconds.
	Slot, Until     int64
	Requests, Edges int64
	Content         string
}

// PutSignalHistory keeps a row, unless the one that is there tells of more requests: who
// has just begun may not know of all.
func (tx *Tx) PutSignalHistory(ctx context.Context, h *SignalHistory) error {
	_, err := tx.Exec(ctx, `INSERT INTO signal_history (slot, until, requests, edges, content) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (slot) DO UPDATE SET until = excluded.until, requests = excluded.requests, edges = excluded.edges, content = excluded.content
		WHERE signal_history.requests <= excluded.requests`, h.Slot, h.Until, h.Requests, h.Edges, h.Content)
	return err
}

// SignalHistory calls f with the rows from a slot up to, but without, another one, in the
// order of time; at most so many.
func (tx *Tx) SignalHistory(ctx context.Context, from, to int64, limit int, f func(*SignalHistory) error) error {
	return tx.Each(ctx, fmt.Sprintf("SELECT slot, until, requests, edges, content FROM signal_history WHERE slot >= ? AND slot < ? ORDER BY slot LIMIT %d", limit), []any{from, to}, func(scan func(...any) error) error {
		h := &SignalHistory{}
		if err := scan(&h.Slot, &h.Until, &h.Requests, &h.Edges, &h.Content); err != nil {
			return err
		}
		return f(h)
	})
}

// DropSignalHistory forgets what was before a slot.
func (tx *Tx) DropSignalHistory(ctx context.Context, before int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM signal_history WHERE slot < ?", before)
	return err
}
