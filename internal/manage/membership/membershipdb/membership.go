// Package membershipdb keeps who may be in the mesh, in the state store: the tokens by which
// machines join, and the identities and certificates that are denied; and it tells what has
// been issued. What is changed is in the audit log, in the same transaction.
//
// It owns no goroutines. The admin API is its user.
package membershipdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// maxTokens bounds join tokens.
	maxTokens = 10000
	// kept is for how long tokens that have ended are still listed.
	kept = 7 * 24 * time.Hour
	// maxReason is in bytes.
	maxReason = 256
)

// Sealer seals the secrets of join tokens; join.Tokens is one.
type Sealer interface {
	Seal(jointoken.Token) string
}

// Authority tells how the authority stands, and is told to look at the store soon;
// ca.Authority is one.
type Authority interface {
	State() identity.AuthorityState
	Nudge()
}

// Options of a Service.
type Options struct {
	DB        *statedb.DB
	Access    *accessdb.Service
	Sealer    Sealer
	Authority Authority
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service changes and reads the store. Its methods may be called at the same time.
type Service struct{ opt Options }

// New makes a Service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

func (s *Service) time() time.Time { return s.opt.Now().UTC().Truncate(time.Millisecond) }

// CreateToken makes a join token.
func (s *Service) CreateToken(ctx context.Context, by access.Actor, q membership.NewToken) (t membership.CreatedToken, err error) {
	now := s.time()
	grants, err := s.check(&q, now)
	if err != nil {
		return t, err
	}
	token := jointoken.New()
	t = membership.CreatedToken{Text: token.Text(), Token: membership.Token{ID: token.ID(), Grants: grants, Created: now, Expires: q.Expires.UTC().Truncate(time.Millisecond), MaxUses: q.Uses}}
	text, err := json.Marshal(grants)
	if err != nil {
		return t, err
	}
	err = s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		if err := tx.PruneJoinTokens(ctx, now.Add(-kept), now.Add(-time.Hour)); err != nil {
			return err
		}
		list, err := tx.JoinTokens(ctx)
		if err != nil {
			return err
		}
		if len(list) >= maxTokens {
			return access.Invalid("", "there are %d join tokens, and no more may be made; revoke some", len(list))
		}
		row := &statedb.JoinToken{ID: t.ID, Sealed: s.opt.Sealer.Seal(token), Grants: string(text), Created: t.Created, Expires: t.Expires, MaxUses: t.MaxUses}
		if err := tx.AddJoinToken(ctx, row); err != nil {
			return err
		}
		return s.opt.Access.Note(ctx, tx, by, "create", "JoinToken/"+t.ID, nil, t.Token)
	})
	return t, err
}

// check fills in what was left out, and tells what is wrong.
func (s *Service) check(q *membership.NewToken, now time.Time) (g jointoken.Grants, err error) {
	if q.Role == "" {
		q.Role = identity.RoleWorkload
	}
	if (q.Role == identity.RoleWorkload || len(q.Services) > 0) && len(q.Namespaces) == 0 {
		q.Namespaces = []string{"default"}
	}
	g = jointoken.Grants{Role: q.Role, Namespaces: q.Namespaces, Services: q.Services, Nodes: q.Nodes}
	if err := g.Check(); err != nil {
		return g, access.Invalid("", "%v", err)
	}
	switch {
	case q.Uses < 0:
		return g, access.Invalid("uses", "must not be negative")
	case q.Uses == 0 && !q.Reusable:
		q.Uses = 1
	case q.Uses == 1 && q.Reusable:
		return g, access.Invalid("reusable", "a token for one use is not reusable")
	}
	if q.Expires.IsZero() {
		q.Expires = now.Add(membership.DefaultExpiry)
	}
	if !q.Expires.After(now) {
		return g, access.Invalid("expires", "is in the past")
	}
	if q.Expires.After(now.Add(membership.MaxExpiry)) {
		return g, access.Invalid("expires", "is more than a year away; machines that have joined need no token any more")
	}
	return g, nil
}

// Tokens lists them, the oldest first.
func (s *Service) Tokens(ctx context.Context) ([]membership.Token, error) {
	out := []membership.Token{}
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
		list, err := tx.JoinTokens(ctx)
		out = out[:0]
		for i := range list {
			t, err := tokenOf(&list[i])
			if err != nil {
				return err
			}
			out = append(out, t)
		}
		return err
	})
	return out, err
}

func tokenOf(r *statedb.JoinToken) (membership.Token, error) {
	t := membership.Token{ID: r.ID, Created: r.Created, Expires: r.Expires, MaxUses: r.MaxUses, Uses: r.Uses, LastUsed: r.LastUsed}
	if err := json.Unmarshal([]byte(r.Grants), &t.Grants); err != nil {
		return t, fmt.Errorf("the join token %s in the state store: %w", r.ID, err)
	}
	return t, nil
}

// RevokeToken takes a join token away. Who has joined by it stays.
func (s *Service) RevokeToken(ctx context.Context, by access.Actor, id string) error {
	return s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		row, err := tx.JoinToken(ctx, id)
		if errors.Is(err, statedb.ErrNotFound) {
			return fmt.Errorf("join token %s: %w", id, err)
		}
		if err != nil {
			return err
		}
		t, err := tokenOf(&row)
		if err != nil {
			return err
		}
		if err := tx.DeleteJoinToken(ctx, id); err != nil {
			return err
		}
		return s.opt.Access.Note(ctx, tx, by, "revoke", "JoinToken/"+id, t, nil)
	})
}

// Joined notes in the audit log that somebody joined. It is join.Options.Note.
func (s *Service) Joined(ctx context.Context, id identity.ID, via, peer string) error {
	return s.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		by := access.Actor{Name: via, Peer: peer}
		return s.opt.Access.Note(ctx, tx, by, "join", "Identity/"+id.String(), nil, nil)
	})
}
