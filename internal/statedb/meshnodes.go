package statedb

import (
	"context"
	"time"
)

// MeshNodes is the area of node proxies.
const MeshNodes Area = "mesh-nodes"

// MeshNode is a node proxy.
type MeshNode struct {
	// Node is its SPIFFE ID.
	Node string
	// Grants is JSON of what the token said by whose ID it joined last.
	Grants, Token string
	Joined        time.Time
}

// PutMeshNode keeps what a node proxy may have from now on.
func (tx *Tx) PutMeshNode(ctx context.Context, n *MeshNode) error {
	if _, err := tx.Advance(ctx, MeshNodes); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO mesh_nodes (node, grants, token, joined) VALUES (?, ?, ?, ?)
		ON CONFLICT (node) DO UPDATE SET grants = excluded.grants, token = excluded.token, joined = excluded.joined`,
		n.Node, n.Grants, n.Token, millis(n.Joined))
	return err
}

// MeshNodes lists all.
func (tx *Tx) MeshNodes(ctx context.Context) (out []MeshNode, err error) {
	err = tx.Each(ctx, "SELECT node, grants, token, joined FROM mesh_nodes ORDER BY node", nil, func(scan func(...any) error) error {
		var n MeshNode
		var joined int64
		if err := scan(&n.Node, &n.Grants, &n.Token, &joined); err != nil {
			return err
		}
		n.Joined = fromMillis(joined)
		out = append(out, n)
		return nil
	})
	return out, err
}
