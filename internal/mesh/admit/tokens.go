package admit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

// again is for how long an answer that was lost can be asked for by the same key.
const again = 10 * time.Minute

// Tokens are the join tokens in the state store. Their secrets are sealed and not hashed:
// the authority has to prove that it knows them.
type Tokens struct {
	db    *statedb.DB
	seals seal.Keys
	now   func() time.Time
}

// NewTokens makes them of a store and the secrets that seal, as ca.Options has them. now
// may be nil.
func NewTokens(db *statedb.DB, secrets [][]byte, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{db: db, seals: seal.New(secrets, "gridway join tokens v1"), now: now}
}

// Seal is a secret as it is kept.
func (t *Tokens) Seal(token jointoken.Token) string {
	return string(t.seals.Seal(nil, token.ID(), []byte(token.Secret())))
}

// held is a token of the store.
type held struct {
	jointoken.Token
	grants jointoken.Grants
}

// find reads a token that is still good; statedb.ErrNotFound is none.
func (t *Tokens) find(ctx context.Context, id string) (*held, error) {
	var row statedb.JoinToken
	err := t.db.Read(ctx, func(tx *statedb.Tx) (err error) {
		row, err = tx.JoinToken(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !row.Expires.IsZero() && !t.now().Before(row.Expires) {
		return nil, statedb.ErrNotFound
	}
	secret, ok := t.seals.Open(id, []byte(row.Sealed))
	if !ok {
		return nil, fmt.Errorf("the join token %s was sealed by another secret than that of --ca-key-file", id)
	}
	h := &held{}
	if h.Token, err = jointoken.FromParts(id, string(secret)); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(row.Grants), &h.grants); err != nil {
		return nil, fmt.Errorf("the join token %s in the state store: %w", id, err)
	}
	return h, nil
}

// use counts a use of a token, by a key, and tells whether there was one left.
// What it grants a node is kept with it.
func (t *Tokens) use(ctx context.Context, h *held, publicKey string, id identity.ID) (ok bool, err error) {
	grants, err := json.Marshal(h.grants)
	if err != nil {
		return false, err
	}
	err = t.db.Write(ctx, func(tx *statedb.Tx) (err error) {
		ok, err = tx.UseJoinToken(ctx, h.ID(), publicKey, id.String(), t.now(), again)
		if err != nil || !ok || h.grants.Role != identity.RoleNode {
			return err
		}
		return tx.PutMeshNode(ctx, &statedb.MeshNode{Node: id.String(), Grants: string(grants), Token: h.ID(), Joined: t.now()})
	})
	return ok, err
}
