package accessdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	maxTokens    = 1000
	maxTokenName = 63
	// tokenPrefix lets people and scanners tell what a token is.
	tokenPrefix = "gridway_"
	// usedPrecision bounds how often a token's use is written.
	usedPrecision = time.Minute
)

func tokenDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Bootstrap makes a token for each role if this store has never had any, and shows
// them: nobody can see them again. If that fails there are none.
func (s *Service) Bootstrap(ctx context.Context, show func([]access.CreatedToken) error) error {
	return s.db.Write(ctx, func(tx *statedb.Tx) error {
		var made []access.CreatedToken
		first, err := tx.Once(ctx, "tokens", s.time())
		if err != nil || !first {
			return err
		}
		for _, role := range access.Roles {
			t, err := s.addToken(ctx, tx, access.Actor{Name: "first start", Role: access.Admin}, access.NewToken{Name: "first-" + string(role), Role: role})
			if err != nil {
				return err
			}
			made = append(made, t)
		}
		return show(made)
	})
}

// CreateToken makes a token.
func (s *Service) CreateToken(ctx context.Context, by access.Actor, q access.NewToken) (t access.CreatedToken, err error) {
	if err := checkRole(q.Role); err != nil {
		return t, err
	}
	if !validName(q.Name) || len(q.Name) > maxTokenName {
		return t, access.Invalid("name", "must have 1 to %d letters, digits, hyphens, underscores and dots", maxTokenName)
	}
	if !q.Expires.IsZero() && !q.Expires.After(s.time()) {
		return t, access.Invalid("expires", "is in the past")
	}
	err = s.db.Write(ctx, func(tx *statedb.Tx) error {
		list, err := tx.Tokens(ctx)
		if err != nil {
			return err
		}
		if len(list) >= maxTokens {
			return access.Invalid("", "there are %d tokens, and no more may be made; revoke some", len(list))
		}
		t, err = s.addToken(ctx, tx, by, q)
		return err
	})
	return t, err
}

func (s *Service) addToken(ctx context.Context, tx *statedb.Tx, by access.Actor, q access.NewToken) (access.CreatedToken, error) {
	t := access.CreatedToken{
		Token: access.Token{ID: strings.ToLower(rand.Text()[:8]), Name: q.Name, Role: q.Role, Created: s.time(), Expires: q.Expires.UTC()},
		Text:  tokenPrefix + randomText(),
	}
	err := tx.AddToken(ctx, &statedb.Token{ID: t.ID, Name: t.Name, Role: string(t.Role), Digest: tokenDigest(t.Text), Created: t.Created, Expires: t.Expires})
	if err != nil {
		return t, err
	}
	return t, s.note(ctx, tx, by, "create", "Token/"+t.ID, nil, t.Token)
}

// randomText has 160 bits in 32 letters and digits.
func randomText() string { return strings.ToLower(rand.Text() + rand.Text()[:6]) }

// Tokens lists them, the oldest first, those that have expired too.
func (s *Service) Tokens(ctx context.Context) ([]access.Token, error) {
	out := []access.Token{}
	err := s.db.Read(ctx, func(tx *statedb.Tx) error {
		list, err := tx.Tokens(ctx)
		out = out[:0]
		for i := range list {
			out = append(out, tokenOf(&list[i]))
		}
		return err
	})
	return out, err
}

func tokenOf(t *statedb.Token) access.Token {
	return access.Token{ID: t.ID, Name: t.Name, Role: access.Role(t.Role), Created: t.Created, Expires: t.Expires, LastUsed: t.Used}
}

// RevokeToken takes a token away. The last admin's stays: nobody could make
// another one.
func (s *Service) RevokeToken(ctx context.Context, by access.Actor, id string) error {
	return s.db.Write(ctx, func(tx *statedb.Tx) error {
		// One at a time: two that revoke must not both find that there is another
		// admin.
		if _, err := tx.Advance(ctx, statedb.Tokens); err != nil {
			return err
		}
		t, err := tx.TokenByID(ctx, id)
		if err != nil {
			return named(err, "token "+id)
		}
		list, err := tx.Tokens(ctx)
		if err != nil {
			return err
		}
		others := 0
		for i := range list {
			if o := &list[i]; o.ID != id && access.Role(o.Role) == access.Admin && o.Expires.IsZero() {
				others++
			}
		}
		if access.Role(t.Role) == access.Admin && t.Expires.IsZero() && others == 0 {
			return fmt.Errorf("%w: token %s is the last one of an admin that does not expire; make another one first", access.ErrLast, id)
		}
		if err := tx.DeleteToken(ctx, id); err != nil {
			return err
		}
		if _, err := tx.DropSessionsOf(ctx, access.SubjectOfToken(id)); err != nil {
			return err
		}
		return s.note(ctx, tx, by, "revoke", "Token/"+id, tokenOf(&t), nil)
	})
}

// Authenticate finds the token of a text.
func (s *Service) Authenticate(ctx context.Context, text string) (access.Token, error) {
	var row statedb.Token
	err := s.db.Read(ctx, func(tx *statedb.Tx) (err error) {
		row, err = tx.TokenByDigest(ctx, tokenDigest(text))
		return err
	})
	now := s.time()
	switch {
	case errors.Is(err, statedb.ErrNotFound), err == nil && !row.Expires.IsZero() && !now.Before(row.Expires):
		return access.Token{}, access.ErrToken
	case err != nil:
		return access.Token{}, err
	}
	if now.Sub(row.Used) >= usedPrecision {
		row.Used = now
		// That a use could not be noted is no reason to refuse it.
		_ = s.db.Write(ctx, func(tx *statedb.Tx) error { return tx.TokenUsed(ctx, row.ID, now) })
	}
	return tokenOf(&row), nil
}

// validName is what names of tokens and credentials are made of.
func validName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
