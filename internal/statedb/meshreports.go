package statedb

import (
	"context"
	"time"
)

// MeshReport is what a control plane says of its proxies, as it is kept.
type MeshReport struct {
	Replica string
	// Digest tells contents apart.
	Digest  string
	Content string
}

// MeshReports lists the control planes that were heard of within a time, without their
// contents.
func (tx *Tx) MeshReports(ctx context.Context, within time.Duration) (out []MeshReport, err error) {
	now, err := tx.now(ctx)
	if err != nil {
		return nil, err
	}
	err = tx.Each(ctx, "SELECT replica, digest FROM mesh_reports WHERE seen >= ? ORDER BY replica", []any{millis(now.Add(-within))}, func(scan func(...any) error) error {
		var r MeshReport
		if err := scan(&r.Replica, &r.Digest); err != nil {
			return err
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

// MeshReportContent returns the digest and the content of a control plane's report; both
// are empty if it has none.
func (tx *Tx) MeshReportContent(ctx context.Context, replica string) (digest, content string, err error) {
	err = tx.Each(ctx, "SELECT digest, content FROM mesh_reports WHERE replica = ?", []any{replica}, func(scan func(...any) error) error {
		return scan(&digest, &content)
	})
	return digest, content, err
}

// PutMeshReport keeps what a control plane says.
func (tx *Tx) PutMeshReport(ctx context.Context, r *MeshReport) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO mesh_reports (replica, seen, digest, content) VALUES (?, ?, ?, ?)
		ON CONFLICT (replica) DO UPDATE SET seen = excluded.seen, digest = excluded.digest, content = excluded.content`, r.Replica, millis(now), r.Digest, r.Content)
	return err
}

// SeeMeshReport notes that a control plane is there and says what it said, and forgets
// those that were silent for longer than that.
func (tx *Tx) SeeMeshReport(ctx context.Context, replica string, silent time.Duration) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO mesh_reports (replica, seen, digest, content) VALUES (?, ?, '', '')
		ON CONFLICT (replica) DO UPDATE SET seen = excluded.seen`, replica, millis(now)); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM mesh_reports WHERE seen < ?", millis(now.Add(-silent)))
	return err
}

// EndMeshReport forgets a control plane that ends.
func (tx *Tx) EndMeshReport(ctx context.Context, replica string) error {
	_, err := tx.Exec(ctx, "DELETE FROM mesh_reports WHERE replica = ?", replica)
	return err
}
