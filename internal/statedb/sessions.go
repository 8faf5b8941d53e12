package statedb

import (
	"context"
	"time"
)

// Session is somebody who is logged in to the console.
type Session struct {
	// Digest is of the half of its secret that is looked for.
	Digest string
	// Subject is whose it is; the others are as they were at the login.
	Subject, Name, Role, Peer string
	Began, Ends               time.Time
	// Sealed is what was logged in with, sealed under both halves.
	Sealed string
}

const sessionColumns = "digest, subject, name, role, peer, began, ends, sealed"

// AddSession keeps a session.
func (tx *Tx) AddSession(ctx context.Context, s *Session) error {
	_, err := tx.Exec(ctx, "INSERT INTO console_sessions ("+sessionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		s.Digest, s.Subject, s.Name, s.Role, s.Peer, millis(s.Began), millis(s.Ends), s.Sealed)
	return err
}

func (tx *Tx) sessions(ctx context.Context, condition string, args ...any) (out []Session, err error) {
	err = tx.Each(ctx, "SELECT "+sessionColumns+" FROM console_sessions "+condition, args, func(scan func(...any) error) error {
		var s Session
		var began, ends int64
		if err := scan(&s.Digest, &s.Subject, &s.Name, &s.Role, &s.Peer, &began, &ends, &s.Sealed); err != nil {
			return err
		}
		s.Began, s.Ends = fromMillis(began), fromMillis(ends)
		out = append(out, s)
		return nil
	})
	return out, err
}

// SessionByDigest finds the one with a digest, also if it has ended.
func (tx *Tx) SessionByDigest(ctx context.Context, digest string) (Session, error) {
	list, err := tx.sessions(ctx, "WHERE digest = ?", digest)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Session{}, err
	}
	return list[0], nil
}

// Sessions reads those that have not ended, the newest first.
func (tx *Tx) Sessions(ctx context.Context, now time.Time) ([]Session, error) {
	return tx.sessions(ctx, "WHERE ends > ? ORDER BY began DESC, digest", millis(now))
}

// DropSession takes one away, and tells whether it was there.
func (tx *Tx) DropSession(ctx context.Context, digest string) (bool, error) {
	n, err := tx.Exec(ctx, "DELETE FROM console_sessions WHERE digest = ?", digest)
	return n > 0, err
}

// DropSessionsOf takes all of somebody's away, and tells how many there were.
func (tx *Tx) DropSessionsOf(ctx context.Context, subject string) (int64, error) {
	return tx.Exec(ctx, "DELETE FROM console_sessions WHERE subject = ?", subject)
}

// DropEndedSessions takes away what has ended.
func (tx *Tx) DropEndedSessions(ctx context.Context, now time.Time) error {
	_, err := tx.Exec(ctx, "DELETE FROM console_sessions WHERE ends <= ?", millis(now))
	return err
}

// LeaveSessions takes away the oldest until there are not more than all, and not more
// than some of one person.
func (tx *Tx) LeaveSessions(ctx context.Context, subject string, all, some int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE subject = ? AND digest NOT IN
		(SELECT digest FROM console_sessions WHERE subject = ? ORDER BY began DESC, digest LIMIT ?)`, subject, subject, some); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE digest NOT IN
		(SELECT digest FROM console_sessions ORDER BY began DESC, digest LIMIT ?)`, all)
	return err
}
