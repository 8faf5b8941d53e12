package membershipdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
)

// object is its name in the audit log.
func object(d *membership.Denial) string {
	if d.Serial == "" {
		return "Identity/" + d.ID
	}
	return "Certificate/" + d.Serial
}

// Deny refuses somebody: no SVID is issued any more, handshakes fail and connections are
// cut, as soon as proxies hear of it.
func (s *Service) Deny(ctx context.Context, by access.Actor, d membership.Denial) (membership.Denial, error) {
	d.Created, d.Expires = s.time(), d.Expires.UTC().Truncate(time.Millisecond)
	if d.Serial != "" {
		serial, err := identity.ParseSerial(d.Serial)
		if err != nil {
			return d, access.Invalid("serial", "%v", err)
		}
		d.Serial = serial
	}
	check := identity.Denial{ID: d.ID, Serial: d.Serial}
	if err := check.Check(); err != nil {
		return d, access.Invalid("id", "%v", err)
	}
	switch id, err := identity.Parse(d.ID); {
	case err == nil && d.Serial == "" && identity.NameOf(id).Role == identity.RoleControl && id.TrustDomain().Name() == s.opt.Authority.State().TrustDomain:
		return d, access.Invalid("id", "is the control plane itself: deny one of its certificates by serial, or change the roots")
	case !d.Expires.IsZero() && !d.Expires.After(d.Created):
		return d, access.Invalid("expires", "is in the past")
	case len(d.Reason) > maxReason:
		return d, access.Invalid("reason", "has more than %d bytes", maxReason)
	}
	err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		list, err := tx.MeshDenials(ctx, d.Created)
		if err != nil {
			return err
		}
		if len(list) >= identity.MaxDenials {
			return access.Invalid("", "there are %d denials, and no more may be made; let those of certificates expire with them", len(list))
		}
		if err := tx.PutMeshDenial(ctx, &statedb.MeshDenial{ID: d.ID, Serial: d.Serial, Created: d.Created, Expires: d.Expires, Reason: d.Reason}); err != nil {
			return err
		}
		return s.opt.Access.Note(ctx, tx, by, "deny", object(&d), nil, d)
	})
	if err == nil {
		s.opt.Authority.Nudge()
	}
	return d, err
}

// Allow takes a denial away.
func (s *Service) Allow(ctx context.Context, by access.Actor, id, serial string) error {
	if serial != "" {
		var err error
		if serial, err = identity.ParseSerial(serial); err != nil {
			return access.Invalid("serial", "%v", err)
		}
	}
	d := membership.Denial{ID: id, Serial: serial}
	err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		err := tx.DeleteMeshDenial(ctx, id, serial)
		if errors.Is(err, statedb.ErrNotFound) {
			return fmt.Errorf("denial of %s: %w", object(&d), err)
		}
		if err != nil {
			return err
		}
		return s.opt.Access.Note(ctx, tx, by, "allow", object(&d), d, nil)
	})
	if err == nil {
		s.opt.Authority.Nudge()
	}
	return err
}

// Denials lists those that hold, the oldest first.
func (s *Service) Denials(ctx context.Context) ([]membership.Denial, error) {
	out := []membership.Denial{}
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
		list, err := tx.MeshDenials(ctx, s.time())
		out = out[:0]
		for _, d := range list {
			out = append(out, membership.Denial{ID: d.ID, Serial: d.Serial, Expires: d.Expires, Reason: d.Reason, Created: d.Created})
		}
		return err
	})
	return out, err
}

// Certificates lists SVIDs that are alive, of one identity or, if that is empty, of all, in
// the order of identities, the newest of each first. What was issued in the last seconds may
// not be there yet.
func (s *Service) Certificates(ctx context.Context, id string, limit int) ([]membership.Certificate, error) {
	if limit <= 0 || limit > membership.MaxPage {
		limit = membership.MaxPage
	}
	out := []membership.Certificate{}
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
		list, err := tx.MeshSVIDs(ctx, id, s.time(), limit)
		out = out[:0]
		for _, c := range list {
			out = append(out, certificateOf(c))
		}
		return err
	})
	return out, err
}

func certificateOf(c statedb.MeshSVID) membership.Certificate {
	return membership.Certificate{ID: c.ID, Serial: c.Serial, Issued: c.Issued, Ends: c.Ends, Via: c.Via, Peer: c.Peer}
}

// Authority is how the authority stands.
func (s *Service) Authority() identity.AuthorityState { return s.opt.Authority.State() }
