package login

import (
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"time"
)

// renewal is what becomes of a refresh token, of which a provider may take each
// once: requests that come with the same session, at the same time or a little
// later, get the same new one.
type renewal struct {
	done    chan struct{}
	session *Session
	err     error
	// ended is when the provider had answered.
	ended time.Time
}

// patience is how long a request waits for another one's renewal.
const patience = 2 * fetchTimeout

// Renew has exchange trade in the session's refresh token, unless somebody else does or
// has done so. Wait is called before it waits for anybody.
func (l *Login) Renew(s *Session, now time.Time, wait func(), exchange func() (*Session, error)) (*Session, error) {
	key := sha256.Sum256([]byte(s.Refresh))
	r, others := l.renewed.getOr(&key, now, newRenewal)
	wait()
	if !others {
		return l.renew(&key, r, exchange)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-r.done:
	case <-late.C:
		return nil, ErrUnavailable
	}
	if errors.Is(r.err, ErrUnavailable) && time.Since(r.ended) >= respite {
		l.renewed.drop(&key)
	}
	return r.session, r.err
}

func newRenewal() *renewal { return &renewal{done: make(chan struct{})} }

func (l *Login) renew(key *Digest, r *renewal, exchange func() (*Session, error)) (*Session, error) {
	r.err = ErrUnavailable // should exchange not return
	defer func() {
		r.ended = time.Now()
		count(&l.counts.Refreshes, r.err)
		close(r.done)
	}()
	r.session, r.err = exchange()
	return r.session, r.err
}

func count(counts *[results]atomic.Uint64, err error) { counts[ResultOf(err)].Add(1) }
