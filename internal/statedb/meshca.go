package statedb

import (
	"context"
	"time"
)

const (
	// MeshAuthorities is the area of authorities of trust domains.
	MeshAuthorities Area = "mesh-authorities"
	// MeshDenials is the area of identities and certificates that are refused.
	MeshDenials Area = "mesh-denials"
)

// MeshAuthority is a root or key that signs for a trust domain, or a root of an authority
// outside, without a key.
type MeshAuthority struct {
	TrustDomain, Purpose string
	// Serial orders those of a trust domain and purpose.
	Serial int64
	// SignsFrom is when it begins to sign. Until KeptUntil at least it is trusted.
	SignsFrom, KeptUntil time.Time
	// Lifetime is the longest of what is signed while it is one of the authorities.
	Lifetime time.Duration
	// Public is in PEM; Sealed is the key, encrypted.
	Public, Sealed string
}

// MeshAuthorities lists those of a trust domain, the oldest first, and the store's clock.
func (tx *Tx) MeshAuthorities(ctx context.Context, trustDomain string) (out []MeshAuthority, now time.Time, err error) {
	err = tx.Each(ctx, "SELECT purpose, serial, signs_from, kept_until, lifetime, public, sealed FROM mesh_authorities WHERE trust_domain = ? ORDER BY purpose, serial",
		[]any{trustDomain}, func(scan func(...any) error) error {
			a := MeshAuthority{TrustDomain: trustDomain}
			var from, kept, lifetime int64
			if err := scan(&a.Purpose, &a.Serial, &from, &kept, &lifetime, &a.Public, &a.Sealed); err != nil {
				return err
			}
			a.SignsFrom, a.KeptUntil, a.Lifetime = time.UnixMilli(from), fromMillis(kept), time.Duration(lifetime)*time.Millisecond
			out = append(out, a)
			return nil
		})
	if err != nil {
		return nil, now, err
	}
	now, err = tx.now(ctx)
	return out, now, err
}

// AddMeshAuthority adds one, unless another process has added one of the same serial.
func (tx *Tx) AddMeshAuthority(ctx context.Context, a *MeshAuthority) (added bool, err error) {
	n, err := tx.Exec(ctx, "INSERT INTO mesh_authorities (trust_domain, purpose, serial, signs_from, kept_until, lifetime, public, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trust_domain, purpose, serial) DO NOTHING",
		a.TrustDomain, a.Purpose, a.Serial, a.SignsFrom.UnixMilli(), millis(a.KeptUntil), a.Lifetime.Milliseconds(), a.Public, a.Sealed)
	return n == 1, err
}

// KeepMeshAuthority notes that one is trusted until a time, if that is later than what is
// noted.
func (tx *Tx) KeepMeshAuthority(ctx context.Context, a *MeshAuthority, until time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE mesh_authorities SET kept_until = ? WHERE trust_domain = ? AND purpose = ? AND serial = ? AND kept_until < ?",
		millis(until), a.TrustDomain, a.Purpose, a.Serial, millis(until))
	return err
}

// ExtendMeshAuthorities notes that what is signed lives as long as this, if that is longer
// than what is noted.
func (tx *Tx) ExtendMeshAuthorities(ctx context.Context, trustDomain, purpose string, lifetime time.Duration) error {
	ms := lifetime.Milliseconds()
	_, err := tx.Exec(ctx, "UPDATE mesh_authorities SET lifetime = ? WHERE trust_domain = ? AND purpose = ? AND lifetime < ?", ms, trustDomain, purpose, ms)
	return err
}

// ResealMeshAuthority replaces a key as it is kept by the same key, sealed otherwise.
func (tx *Tx) ResealMeshAuthority(ctx context.Context, a *MeshAuthority, sealed string) error {
	_, err := tx.Exec(ctx, "UPDATE mesh_authorities SET sealed = ? WHERE trust_domain = ? AND purpose = ? AND serial = ? AND sealed = ?",
		sealed, a.TrustDomain, a.Purpose, a.Serial, a.Sealed)
	return err
}

// ForgetMeshAuthority removes one, unless somebody has it kept for longer than a time.
func (tx *Tx) ForgetMeshAuthority(ctx context.Context, a *MeshAuthority, now time.Time) (gone bool, err error) {
	n, err := tx.Exec(ctx, "DELETE FROM mesh_authorities WHERE trust_domain = ? AND purpose = ? AND serial = ? AND kept_until < ?",
		a.TrustDomain, a.Purpose, a.Serial, millis(now))
	return n == 1, err
}

// MeshSVID is a certificate that has been issued.
type MeshSVID struct {
	Serial, ID   string
	Issued, Ends time.Time
	// Via is how its owner proved who it is, Peer where it asked from.
	Via, Peer string
}

// AddMeshSVIDs notes certificates, and forgets those that have ended.
func (tx *Tx) AddMeshSVIDs(ctx context.Context, list []MeshSVID, now time.Time) error {
	if _, err := tx.Exec(ctx, "DELETE FROM mesh_svids WHERE ends < ?", millis(now)); err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		if _, err := tx.Exec(ctx, "INSERT INTO mesh_svids (serial, spiffe_id, issued, ends, via, peer) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (serial) DO NOTHING",
			s.Serial, s.ID, millis(s.Issued), millis(s.Ends), s.Via, s.Peer); err != nil {
			return err
		}
	}
	return nil
}

// MeshSVIDVia returns how the owner of a certificate proved who it is; ErrNotFound is that
// the certificate was not noted.
func (tx *Tx) MeshSVIDVia(ctx context.Context, serial string) (via string, err error) {
	found := false
	err = tx.Each(ctx, "SELECT via FROM mesh_svids WHERE serial = ?", []any{serial}, func(scan func(...any) error) error {
		found = true
		return scan(&via)
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return via, err
}

// MeshSVIDs lists certificates that end after a time, of all identities or of one, in the
// order of identities, the newest of each first.
func (tx *Tx) MeshSVIDs(ctx context.Context, id string, after time.Time, limit int) (out []MeshSVID, err error) {
	query, args := "SELECT serial, spiffe_id, issued, ends, via, peer FROM mesh_svids WHERE ends >= ?", []any{millis(after)}
	if id != "" {
		query, args = query+" AND spiffe_id = ?", append(args, id)
	}
	err = tx.Each(ctx, query+" ORDER BY spiffe_id, issued DESC, serial LIMIT ?", append(args, limit), func(scan func(...any) error) error {
		var s MeshSVID
		var issued, ends int64
		if err := scan(&s.Serial, &s.ID, &issued, &ends, &s.Via, &s.Peer); err != nil {
			return err
		}
		s.Issued, s.Ends = fromMillis(issued), fromMillis(ends)
		out = append(out, s)
		return nil
	})
	return out, err
}

// MeshDenial refuses an identity, a certificate, or a certificate of an identity.
type MeshDenial struct {
	ID, Serial       string
	Created, Expires time.Time
	Reason           string
}

// MeshDenials lists those that hold at a time, the oldest first.
func (tx *Tx) MeshDenials(ctx context.Context, now time.Time) (out []MeshDenial, err error) {
	err = tx.Each(ctx, "SELECT spiffe_id, serial, created, expires, reason FROM mesh_denials WHERE expires = 0 OR expires > ? ORDER BY created, spiffe_id, serial",
		[]any{millis(now)}, func(scan func(...any) error) error {
			var d MeshDenial
			var created, expires int64
			if err := scan(&d.ID, &d.Serial, &created, &expires, &d.Reason); err != nil {
				return err
			}
			d.Created, d.Expires = fromMillis(created), fromMillis(expires)
			out = append(out, d)
			return nil
		})
	return out, err
}

// PutMeshDenial adds a denial or replaces the one of the same, and forgets those that have
// expired.
func (tx *Tx) PutMeshDenial(ctx context.Context, d *MeshDenial) error {
	if _, err := tx.Advance(ctx, MeshDenials); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM mesh_denials WHERE expires > 0 AND expires <= ?", millis(d.Created)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO mesh_denials (spiffe_id, serial, created, expires, reason) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (spiffe_id, serial) DO UPDATE SET created = excluded.created, expires = excluded.expires, reason = excluded.reason`,
		d.ID, d.Serial, millis(d.Created), millis(d.Expires), d.Reason)
	return err
}

// DeleteMeshDenial takes one away, or answers ErrNotFound.
func (tx *Tx) DeleteMeshDenial(ctx context.Context, id, serial string) error {
	if _, err := tx.Advance(ctx, MeshDenials); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, "DELETE FROM mesh_denials WHERE spiffe_id = ? AND serial = ?", id, serial)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}
