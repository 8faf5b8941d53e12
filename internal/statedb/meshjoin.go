package statedb

import (
	"context"
	"errors"
	"time"
)

// JoinToken is one by which machines join a mesh. Expires and LastUsed are zero for never,
// MaxUses is 0 for any number.
type JoinToken struct {
	ID, Sealed string
	// Grants is JSON of what may be asked for with it.
	Grants                     string
	Created, Expires, LastUsed time.Time
	MaxUses, Uses              int64
}

const joinTokenColumns = "id, sealed, grants, created, expires, max_uses, uses, last_used"

// AddJoinToken keeps a new token.
func (tx *Tx) AddJoinToken(ctx context.Context, t *JoinToken) error {
	_, err := tx.Exec(ctx, "INSERT INTO mesh_join_tokens ("+joinTokenColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		t.ID, t.Sealed, t.Grants, millis(t.Created), millis(t.Expires), t.MaxUses, t.Uses, millis(t.LastUsed))
	return err
}

func (tx *Tx) joinTokens(ctx context.Context, condition string, args ...any) (out []JoinToken, err error) {
	err = tx.Each(ctx, "SELECT "+joinTokenColumns+" FROM mesh_join_tokens "+condition, args, func(scan func(...any) error) error {
		var t JoinToken
		var created, expires, used int64
		if err := scan(&t.ID, &t.Sealed, &t.Grants, &created, &expires, &t.MaxUses, &t.Uses, &used); err != nil {
			return err
		}
		t.Created, t.Expires, t.LastUsed = fromMillis(created), fromMillis(expires), fromMillis(used)
		out = append(out, t)
		return nil
	})
	return out, err
}

// JoinTokens reads all, the oldest first.
func (tx *Tx) JoinTokens(ctx context.Context) ([]JoinToken, error) {
	return tx.joinTokens(ctx, "ORDER BY created, id")
}

// JoinToken finds one, or answers ErrNotFound.
func (tx *Tx) JoinToken(ctx context.Context, id string) (JoinToken, error) {
	list, err := tx.joinTokens(ctx, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return JoinToken{}, err
	}
	return list[0], nil
}

// DeleteJoinToken takes one away, or answers ErrNotFound.
func (tx *Tx) DeleteJoinToken(ctx context.Context, id string) error {
	n, err := tx.Exec(ctx, "DELETE FROM mesh_join_tokens WHERE id = ?", id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DELETE FROM mesh_joins WHERE token = ?", id)
	return err
}

// PruneJoinTokens forgets tokens and joins that ended before a time.
func (tx *Tx) PruneJoinTokens(ctx context.Context, ended, joined time.Time) error {
	if _, err := tx.Exec(ctx, "DELETE FROM mesh_joins WHERE at < ?", millis(joined)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM mesh_join_tokens WHERE expires > 0 AND expires < ?", millis(ended)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "DELETE FROM mesh_join_tokens WHERE max_uses > 0 AND uses >= max_uses AND last_used < ?", millis(ended))
	return err
}

// UseJoinToken counts one use of a token by a key for an identity, and tells whether that
// may be. The same key may ask again for the same identity until again has gone by, which
// counts once. Of several at once that a token has not enough uses for, as many may as it
// has.
func (tx *Tx) UseJoinToken(ctx context.Context, token, publicKey, id string, now time.Time, again time.Duration) (ok bool, err error) {
	// The row of the token is written first: from then on this is the only use of it.
	n, err := tx.Exec(ctx, "UPDATE mesh_join_tokens SET last_used = ? WHERE id = ? AND (expires = 0 OR expires > ?)", millis(now), token, millis(now))
	if err != nil || n == 0 {
		return false, err
	}
	var was string
	var at int64
	err = tx.Get(ctx, "SELECT spiffe_id, at FROM mesh_joins WHERE token = ? AND public_key = ?", []any{token, publicKey}, &was, &at)
	if err == nil && was == id && now.Sub(time.UnixMilli(at)) < again {
		return true, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	n, err = tx.Exec(ctx, "UPDATE mesh_join_tokens SET uses = uses + 1 WHERE id = ? AND (max_uses = 0 OR uses < max_uses)", token)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO mesh_joins (token, public_key, spiffe_id, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (token, public_key) DO UPDATE SET spiffe_id = excluded.spiffe_id, at = excluded.at`, token, publicKey, id, millis(now))
	return err == nil, err
}
