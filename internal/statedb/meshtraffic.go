package statedb

import (
	"context"
	"fmt"
)

// MeshTraffic is what was seen of one kind of traffic in a day.
type MeshTraffic struct {
	// Day is in days since 1970, UTC; Key a digest of what the kind is.
	Day                int64
	Key                string
	Namespace, Service string
	// Content says what the kind is.
	Content      string
	Seen, Failed int64
	// Duration is the sum of all, in microseconds; First and Last are Unix times in
	// milliseconds.
	Duration    int64
	First, Last int64
	// Addresses has bits for addresses of clients.
	Addresses int64
}

// maxMeshTraffic is as much as Seen, Failed and Duration are added up to, so that no sum is
// too large for the database: what one row cannot hold would keep all others out.
const maxMeshTraffic = 1 << 61

// AddMeshTraffic adds to what was seen already.
func (tx *Tx) AddMeshTraffic(ctx context.Context, t *MeshTraffic) error {
	seen, failed, duration := min(t.Seen, maxMeshTraffic), min(t.Failed, maxMeshTraffic), min(t.Duration, maxMeshTraffic)
	_, err := tx.Exec(ctx, `INSERT INTO mesh_traffic (day, key, namespace, service, content, seen, failed, duration, first_seen, last_seen, addresses)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (day, key) DO UPDATE SET
			seen = CASE WHEN mesh_traffic.seen > ? THEN ? ELSE mesh_traffic.seen + excluded.seen END,
			failed = CASE WHEN mesh_traffic.failed > ? THEN ? ELSE mesh_traffic.failed + excluded.failed END,
			duration = CASE WHEN mesh_traffic.duration > ? THEN ? ELSE mesh_traffic.duration + excluded.duration END,
			first_seen = CASE WHEN excluded.first_seen < mesh_traffic.first_seen THEN excluded.first_seen ELSE mesh_traffic.first_seen END,
			last_seen = CASE WHEN excluded.last_seen > mesh_traffic.last_seen THEN excluded.last_seen ELSE mesh_traffic.last_seen END,
			addresses = mesh_traffic.addresses | excluded.addresses`,
		t.Day, t.Key, t.Namespace, t.Service, t.Content, seen, failed, duration, t.First, t.Last, t.Addresses,
		maxMeshTraffic-seen, int64(maxMeshTraffic), maxMeshTraffic-failed, int64(maxMeshTraffic), maxMeshTraffic-duration, int64(maxMeshTraffic))
	return err
}

// MeshTraffic lists what was seen from a day on, and last at a time or later, of one
// namespace and service or, where these are empty, of all; at most so many.
func (tx *Tx) MeshTraffic(ctx context.Context, namespace, service string, day, since int64, limit int) (out []MeshTraffic, err error) {
	query, args := "SELECT day, key, namespace, service, content, seen, failed, duration, first_seen, last_seen, addresses FROM mesh_traffic WHERE day >= ? AND last_seen >= ?", []any{day, since}
	if namespace != "" {
		query, args = query+" AND namespace = ?", append(args, namespace)
	}
	if service != "" {
		query, args = query+" AND service = ?", append(args, service)
	}
	query += fmt.Sprintf(" ORDER BY day DESC, key LIMIT %d", limit)
	err = tx.Each(ctx, query, args, func(scan func(...any) error) error {
		var t MeshTraffic
		if err := scan(&t.Day, &t.Key, &t.Namespace, &t.Service, &t.Content, &t.Seen, &t.Failed, &t.Duration, &t.First, &t.Last, &t.Addresses); err != nil {
			return err
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

// DropMeshTraffic forgets what was seen before a day.
func (tx *Tx) DropMeshTraffic(ctx context.Context, before int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM mesh_traffic WHERE day < ?", before)
	return err
}
