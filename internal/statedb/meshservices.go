package statedb

import (
	"context"
	"errors"
	"time"
)

// MeshService is a Service that workloads made, as it is kept. It is of the area
// MeshRegistry.
type MeshService struct {
	Namespace, Name string
	Version         int64
	// Ports is what the registry says of them.
	Ports string
	// Gone is for how long it has had no workload; negative is that it has some.
	Gone time.Duration
}

// goneFor is what Gone says of a moment of the table.
func goneFor(now time.Time, gone int64) time.Duration {
	if gone == 0 {
		return -1
	}
	return max(now.Sub(time.UnixMilli(gone)), 0)
}

// MeshServices lists those that changed after a version; with 0 all of them.
func (tx *Tx) MeshServices(ctx context.Context, after int64) (out []MeshService, err error) {
	now, err := tx.now(ctx)
	if err != nil {
		return nil, err
	}
	query := "SELECT namespace, name, version, ports, gone FROM mesh_services WHERE version > ? ORDER BY version, namespace, name"
	err = tx.Each(ctx, query, []any{after}, func(scan func(...any) error) error {
		var s MeshService
		var gone int64
		if err := scan(&s.Namespace, &s.Name, &s.Version, &s.Ports, &gone); err != nil {
			return err
		}
		s.Gone = goneFor(now, gone)
		out = append(out, s)
		return nil
	})
	return out, err
}

// MeshService returns one, or nil.
func (tx *Tx) MeshService(ctx context.Context, namespace, name string) (*MeshService, error) {
	now, err := tx.now(ctx)
	if err != nil {
		return nil, err
	}
	var gone int64
	s := MeshService{Namespace: namespace, Name: name}
	err = tx.Get(ctx, "SELECT version, ports, gone FROM mesh_services WHERE namespace = ? AND name = ?", []any{namespace, name}, &s.Version, &s.Ports, &gone)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	s.Gone = goneFor(now, gone)
	return &s, err
}

// PutMeshService keeps the ports of a Service, which has workloads.
func (tx *Tx) PutMeshService(ctx context.Context, s *MeshService) error {
	_, err := tx.Exec(ctx, `INSERT INTO mesh_services (namespace, name, version, ports, gone) VALUES (?, ?, ?, ?, 0)
		ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version, ports = excluded.ports, gone = 0`,
		s.Namespace, s.Name, s.Version, s.Ports)
	return err
}

// MarkMeshService notes that a Service has no workload any more, or that it has one again.
func (tx *Tx) MarkMeshService(ctx context.Context, namespace, name string, gone bool, version int64) error {
	if !gone {
		_, err := tx.Exec(ctx, "UPDATE mesh_services SET gone = 0, version = ? WHERE namespace = ? AND name = ? AND gone > 0", version, namespace, name)
		return err
	}
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE mesh_services SET gone = ?, version = ? WHERE namespace = ? AND name = ? AND gone = 0", millis(now), version, namespace, name)
	return err
}

// ForgetMeshServices removes those that have had no workload for longer than that.
func (tx *Tx) ForgetMeshServices(ctx context.Context, gone time.Duration) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM mesh_services WHERE gone > 0 AND gone < ?", millis(now.Add(-gone)))
	return err
}
