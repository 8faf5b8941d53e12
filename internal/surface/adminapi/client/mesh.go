package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// JoinTokens lists the tokens by which machines join the mesh.
func (c *Client) JoinTokens(ctx context.Context) ([]membership.Token, error) {
	return list[membership.Token](ctx, c, "/v1/mesh/tokens")
}

// CreateJoinToken makes one.
func (c *Client) CreateJoinToken(ctx context.Context, q membership.NewToken) (*membership.CreatedToken, error) {
	return call[membership.CreatedToken](ctx, c, http.MethodPost, "/v1/mesh/tokens", q)
}

// RevokeJoinToken takes one away.
func (c *Client) RevokeJoinToken(ctx context.Context, id string) error {
	return c.done(ctx, http.MethodDelete, "/v1/mesh/tokens/"+url.PathEscape(id), nil)
}

// Identities lists the certificates that are alive, of one SPIFFE ID or of all.
func (c *Client) Identities(ctx context.Context, id string) ([]membership.Certificate, error) {
	return list[membership.Certificate](ctx, c, "/v1/mesh/identities?"+url.Values{"id": {id}}.Encode())
}

// Denials lists what is denied.
func (c *Client) Denials(ctx context.Context) ([]membership.Denial, error) {
	return list[membership.Denial](ctx, c, "/v1/mesh/denials")
}

// Deny denies an identity or a certificate.
func (c *Client) Deny(ctx context.Context, q membership.Denial) (*membership.Denial, error) {
	return call[membership.Denial](ctx, c, http.MethodPost, "/v1/mesh/denials", q)
}

// Allow takes a denial away.
func (c *Client) Allow(ctx context.Context, id, serial string) error {
	return c.done(ctx, http.MethodDelete, "/v1/mesh/denials?"+url.Values{"id": {id}, "serial": {serial}}.Encode(), nil)
}

// MeshAuthority tells how the mesh's authority stands.
func (c *Client) MeshAuthority(ctx context.Context) (*identity.AuthorityState, error) {
	return get[identity.AuthorityState](ctx, c, "/v1/mesh/authority")
}

// Traffic is what proxies have seen of the last time, to one namespace and service or,
// where these are empty, to all.
func (c *Client) Traffic(ctx context.Context, namespace, service string, since time.Duration) ([]evidence.Flow, error) {
	return list[evidence.Flow](ctx, c, "/v1/mesh/traffic?"+url.Values{"namespace": {namespace}, "service": {service}, "since": {since.String()}}.Encode())
}
