package accessdb

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

// KeepSession keeps a session for all processes of the store. The oldest give way where
// there are too many, and those that have ended go.
func (s *Service) KeepSession(ctx context.Context, k *access.KeptSession) error {
	row := &statedb.Session{
		Digest: k.Digest, Subject: k.Subject, Name: k.Name, Role: string(k.Role), Peer: k.Peer, Began: k.Began, Ends: k.Ends,
		Sealed: base64.RawStdEncoding.EncodeToString(k.Sealed),
	}
	return s.db.Write(ctx, func(tx *statedb.Tx) error {
		if err := tx.DropEndedSessions(ctx, s.time()); err != nil {
			return err
		}
		if err := tx.LeaveSessions(ctx, k.Subject, access.MaxSessions-1, access.MaxSessionsOfOne-1); err != nil {
			return err
		}
		return tx.AddSession(ctx, row)
	})
}

// Session finds the one with a digest, or answers access.ErrSession.
func (s *Service) Session(ctx context.Context, digest string) (*access.KeptSession, error) {
	var row statedb.Session
	err := s.db.Read(ctx, func(tx *statedb.Tx) (err error) {
		row, err = tx.SessionByDigest(ctx, digest)
		return err
	})
	if errors.Is(err, statedb.ErrNotFound) || err == nil && !s.now().Before(row.Ends) {
		return nil, access.ErrSession
	}
	if err != nil {
		return nil, err
	}
	return keptOf(&row)
}

func keptOf(row *statedb.Session) (*access.KeptSession, error) {
	sealed, err := base64.RawStdEncoding.DecodeString(row.Sealed)
	if err != nil {
		return nil, access.ErrSession // nobody can open what it was
	}
	return &access.KeptSession{Digest: row.Digest, Subject: row.Subject, Sealed: sealed, Session: access.Session{
		ID: access.SessionID(row.Digest), Name: row.Name, Role: access.Role(row.Role), Peer: row.Peer, Began: row.Began, Ends: row.Ends,
	}}, nil
}

// Sessions lists those that have not ended, the newest first.
func (s *Service) Sessions(ctx context.Context) (out []access.KeptSession, err error) {
	err = s.db.Read(ctx, func(tx *statedb.Tx) error {
		rows, err := tx.Sessions(ctx, s.time())
		out = out[:0]
		for i := range rows {
			if k, err := keptOf(&rows[i]); err == nil {
				out = append(out, *k)
			}
		}
		return err
	})
	return out, err
}

// EndSession ends one. That there is none, or not any more, is access.ErrSession.
func (s *Service) EndSession(ctx context.Context, digest string) error {
	return s.db.Write(ctx, func(tx *statedb.Tx) error {
		was, err := tx.DropSession(ctx, digest)
		if err == nil && !was {
			err = access.ErrSession
		}
		return err
	})
}

// EndSessionsOf ends all of somebody's, and tells how many there were.
func (s *Service) EndSessionsOf(ctx context.Context, subject string) (n int, err error) {
	err = s.db.Write(ctx, func(tx *statedb.Tx) error {
		gone, err := tx.DropSessionsOf(ctx, subject)
		n = int(gone)
		return err
	})
	return n, err
}

// SweepSessions takes away what ended before now.
func (s *Service) SweepSessions(ctx context.Context, now time.Time) error {
	return s.db.Write(ctx, func(tx *statedb.Tx) error { return tx.DropEndedSessions(ctx, now) })
}
