package statedb

import (
	"context"
	"time"
)

// MeshRegistry is the area of workloads that are registered.
const MeshRegistry Area = "mesh-registry"

// MeshProxy is a proxy with its workloads, as it is kept.
type MeshProxy struct {
	Proxy, Replica string
	Version        int64
	// Content is what the registry says of it; empty with Gone.
	Content string
	Gone    bool
}

// MeshProxies lists those that changed after a version; with 0 all that are there.
func (tx *Tx) MeshProxies(ctx context.Context, after int64) (out []MeshProxy, err error) {
	query := "SELECT proxy, replica, version, content, gone FROM mesh_proxies WHERE version > ? ORDER BY version, proxy"
	if after == 0 {
		query = "SELECT proxy, replica, version, content, gone FROM mesh_proxies WHERE version > ? AND gone = 0 ORDER BY version, proxy"
	}
	err = tx.Each(ctx, query, []any{after}, func(scan func(...any) error) error {
		var p MeshProxy
		var gone int64
		if err := scan(&p.Proxy, &p.Replica, &p.Version, &p.Content, &gone); err != nil {
			return err
		}
		p.Gone = gone != 0
		out = append(out, p)
		return nil
	})
	return out, err
}

// PutMeshProxy keeps what a control plane says of a proxy, whose it is from then on.
func (tx *Tx) PutMeshProxy(ctx context.Context, p *MeshProxy) error {
	_, err := tx.Exec(ctx, `INSERT INTO mesh_proxies (proxy, replica, version, content, gone) VALUES (?, ?, ?, ?, 0)
		ON CONFLICT (proxy) DO UPDATE SET replica = excluded.replica, version = excluded.version, content = excluded.content, gone = 0`,
		p.Proxy, p.Replica, p.Version, p.Content)
	return err
}

// EndMeshProxy notes that a proxy is gone, if it is still the control plane's.
func (tx *Tx) EndMeshProxy(ctx context.Context, proxy, replica string, version int64) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE mesh_proxies SET gone = ?, version = ?, content = '' WHERE proxy = ? AND replica = ? AND gone = 0", millis(now), version, proxy, replica)
	return err
}

// SeeMeshReplica notes that a control plane is there, and returns others that were not
// heard of for longer than that.
func (tx *Tx) SeeMeshReplica(ctx context.Context, replica string, silent time.Duration) (lost []string, err error) {
	now, err := tx.now(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO mesh_replicas (replica, seen) VALUES (?, ?) ON CONFLICT (replica) DO UPDATE SET seen = excluded.seen", replica, millis(now)); err != nil {
		return nil, err
	}
	err = tx.Each(ctx, "SELECT replica FROM mesh_replicas WHERE seen < ? ORDER BY replica", []any{millis(now.Add(-silent))}, func(scan func(...any) error) error {
		var name string
		if err := scan(&name); err != nil {
			return err
		}
		lost = append(lost, name)
		return nil
	})
	return lost, err
}

// EndMeshReplica forgets a control plane, unless it has been heard of meanwhile, and ends
// the proxies that were its own.
func (tx *Tx) EndMeshReplica(ctx context.Context, replica string, silent time.Duration, version int64) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, "DELETE FROM mesh_replicas WHERE replica = ? AND seen < ?", replica, millis(now.Add(-silent)))
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE mesh_proxies SET gone = ?, version = ?, content = '' WHERE replica = ? AND gone = 0", millis(now), version, replica)
	return err
}

// ForgetMeshProxies removes those that have been gone for longer than that.
func (tx *Tx) ForgetMeshProxies(ctx context.Context, gone time.Duration) error {
	now, err := tx.now(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM mesh_proxies WHERE gone > 0 AND gone < ?", millis(now.Add(-gone)))
	return err
}
