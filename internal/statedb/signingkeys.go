package statedb

import (
	"context"
	"time"
)

// SigningKey is a private key that tokens are signed with, as it is kept.
type SigningKey struct {
	Issuer, Algorithm string
	// Serial orders the keys of an issuer and algorithm.
	Serial int64
	// SignsFrom is when it begins to sign, and Lifetime the longest that tokens have
	// lived for which it was one of the keys.
	SignsFrom time.Time
	Lifetime  time.Duration
	// Sealed is the key, encrypted.
	Sealed string
}

// SigningKeys lists the keys of an issuer and algorithm, the oldest first, and the
// store's clock.
func (tx *Tx) SigningKeys(ctx context.Context, issuer, algorithm string) (out []SigningKey, now time.Time, err error) {
	err = tx.Each(ctx, "SELECT serial, signs_from, lifetime, sealed FROM signing_keys WHERE issuer = ? AND algorithm = ? ORDER BY serial",
		[]any{issuer, algorithm}, func(scan func(...any) error) error {
			k := SigningKey{Issuer: issuer, Algorithm: algorithm}
			var from, lifetime int64
			if err := scan(&k.Serial, &from, &lifetime, &k.Sealed); err != nil {
				return err
			}
			k.SignsFrom, k.Lifetime = time.UnixMilli(from), time.Duration(lifetime)*time.Millisecond
			out = append(out, k)
			return nil
		})
	if err != nil {
		return nil, now, err
	}
	now, err = tx.now(ctx)
	return out, now, err
}

// AddSigningKey adds a key, unless another process has added one of the same serial.
func (tx *Tx) AddSigningKey(ctx context.Context, k SigningKey) error {
	_, err := tx.Exec(ctx, "INSERT INTO signing_keys (issuer, algorithm, serial, signs_from, lifetime, sealed) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, algorithm, serial) DO NOTHING",
		k.Issuer, k.Algorithm, k.Serial, millis(k.SignsFrom), k.Lifetime.Milliseconds(), k.Sealed)
	return err
}

// ExtendSigningKeys notes that tokens live as long as this, if that is longer than what
// is noted.
func (tx *Tx) ExtendSigningKeys(ctx context.Context, issuer, algorithm string, lifetime time.Duration) error {
	ms := lifetime.Milliseconds()
	_, err := tx.Exec(ctx, "UPDATE signing_keys SET lifetime = ? WHERE issuer = ? AND algorithm = ? AND lifetime < ?", ms, issuer, algorithm, ms)
	return err
}

// ForgetSigningKeys removes the keys up to a serial.
func (tx *Tx) ForgetSigningKeys(ctx context.Context, issuer, algorithm string, serial int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM signing_keys WHERE issuer = ? AND algorithm = ? AND serial <= ?", issuer, algorithm, serial)
	return err
}
