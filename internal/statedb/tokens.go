package statedb

import (
	"context"
	"errors"
	"time"
)

// Tokens is the area of the admin API's tokens.
const Tokens Area = "tokens"

// Token is one of the admin API's. Expires and Used are zero for never.
type Token struct {
	ID, Name, Role, Digest string
	Created, Expires, Used time.Time
}

const tokenColumns = "id, name, role, digest, created, expires, used"

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// AddToken keeps a new token.
func (tx *Tx) AddToken(ctx context.Context, t *Token) error {
	_, err := tx.Exec(ctx, "INSERT INTO tokens ("+tokenColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
		t.ID, t.Name, t.Role, t.Digest, millis(t.Created), millis(t.Expires), millis(t.Used))
	return err
}

func (tx *Tx) tokens(ctx context.Context, condition string, args ...any) (out []Token, err error) {
	err = tx.Each(ctx, "SELECT "+tokenColumns+" FROM tokens "+condition, args, func(scan func(...any) error) error {
		var t Token
		var created, expires, used int64
		if err := scan(&t.ID, &t.Name, &t.Role, &t.Digest, &created, &expires, &used); err != nil {
			return err
		}
		t.Created, t.Expires, t.Used = fromMillis(created), fromMillis(expires), fromMillis(used)
		out = append(out, t)
		return nil
	})
	return out, err
}

func one(list []Token, err error) (Token, error) {
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Token{}, err
	}
	return list[0], nil
}

// Tokens reads all of them, the oldest first.
func (tx *Tx) Tokens(ctx context.Context) ([]Token, error) {
	return tx.tokens(ctx, "ORDER BY created, id")
}

// TokenByDigest finds the one with a digest.
func (tx *Tx) TokenByDigest(ctx context.Context, digest string) (Token, error) {
	return one(tx.tokens(ctx, "WHERE digest = ?", digest))
}

// TokenByID finds the one with an ID.
func (tx *Tx) TokenByID(ctx context.Context, id string) (Token, error) {
	return one(tx.tokens(ctx, "WHERE id = ?", id))
}

// DeleteToken takes one away.
func (tx *Tx) DeleteToken(ctx context.Context, id string) error {
	_, err := tx.Exec(ctx, "DELETE FROM tokens WHERE id = ?", id)
	return err
}

// TokenUsed notes when a token was used.
func (tx *Tx) TokenUsed(ctx context.Context, id string, at time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE tokens SET used = ? WHERE id = ? AND used < ?", millis(at), id, millis(at))
	return err
}

// Once tells whether something that is done once in the life of a store is still
// to be done, and notes that it has been.
func (tx *Tx) Once(ctx context.Context, what string, at time.Time) (first bool, err error) {
	n, err := tx.Exec(ctx, "INSERT INTO installation (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", what, at.Format(time.RFC3339))
	return n == 1, err
}

// Done tells whether it was done.
func (tx *Tx) Done(ctx context.Context, what string) (bool, error) {
	var at string
	err := tx.Get(ctx, "SELECT value FROM installation WHERE name = ?", []any{what}, &at)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
