package adminapi

import (
	"context"
	"io"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// Access is who may call and who may manage, in a state store; accessdb.Service is one.
// It is cut by what is kept. A process without a store links none.
type Access interface {
	Consumers
	Keys
	Tokens
	SessionStore
	// Record adds to the audit log what somebody has done that changes nothing.
	Record(ctx context.Context, by access.Actor, action, object string, what any) error
	// Audit lists changes, the latest first.
	Audit(ctx context.Context, q access.AuditQuery) ([]access.Change, error)
}

// Consumers keeps those who may call.
type Consumers interface {
	Consumer(ctx context.Context, namespace, name string) (*access.Record, error)
	Put(ctx context.Context, by access.Actor, namespace, name string, text []byte, c access.Condition) (r *access.Record, created bool, err error)
	Edit(ctx context.Context, by access.Actor, namespace, name string, c access.Condition, edit func(text []byte) ([]byte, error)) (*access.Record, error)
	Delete(ctx context.Context, by access.Actor, namespace, name string, c access.Condition) error
	Import(ctx context.Context, by access.Actor, text []byte, dryRun bool) (access.Imported, error)
	Export(ctx context.Context, namespace string, w io.Writer) error
}

// Keys keeps what consumers prove themselves by.
type Keys interface {
	CreateKey(ctx context.Context, by access.Actor, namespace, consumer string, q access.NewKey) (*access.CreatedKey, error)
	RotateKey(ctx context.Context, by access.Actor, namespace, consumer, key string, q access.NewKey) (*access.CreatedKey, error)
	RotateKeys(ctx context.Context, by access.Actor, namespace, consumer string, q access.NewKey) (*access.CreatedKey, error)
	RevokeKey(ctx context.Context, by access.Actor, namespace, consumer, key string) error
}

// Tokens keeps tokens of this API.
type Tokens interface {
	// Authenticate finds the token of a text, or answers access.ErrToken.
	Authenticate(ctx context.Context, text string) (access.Token, error)
	Tokens(ctx context.Context) ([]access.Token, error)
	CreateToken(ctx context.Context, by access.Actor, q access.NewToken) (access.CreatedToken, error)
	RevokeToken(ctx context.Context, by access.Actor, id string) error
}

// Membership is who may be in the mesh; membershipdb.Service is one.
type Membership interface {
	Tokens(ctx context.Context) ([]membership.Token, error)
	CreateToken(ctx context.Context, by access.Actor, q membership.NewToken) (membership.CreatedToken, error)
	RevokeToken(ctx context.Context, by access.Actor, id string) error

	Deny(ctx context.Context, by access.Actor, d membership.Denial) (membership.Denial, error)
	Allow(ctx context.Context, by access.Actor, id, serial string) error
	Denials(ctx context.Context) ([]membership.Denial, error)

	Certificates(ctx context.Context, id string, limit int) ([]membership.Certificate, error)
	Authority() identity.AuthorityState
}
