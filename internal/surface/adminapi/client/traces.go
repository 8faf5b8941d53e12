package client

import (
	"context"
	"net/url"

	"github.com/gridway/gridway/internal/surface/adminapi"
)

// Traces lists notable traces by the parameters of GET /v1/traces.
func (c *Client) Traces(ctx context.Context, query url.Values) (*adminapi.Traces, error) {
	return get[adminapi.Traces](ctx, c, "/v1/traces?"+query.Encode())
}

// Trace is what is remembered of a trace.
func (c *Client) Trace(ctx context.Context, id string) (*adminapi.Trace, error) {
	return get[adminapi.Trace](ctx, c, "/v1/traces/"+url.PathEscape(id))
}

// Request is what has happened to a request.
func (c *Client) Request(ctx context.Context, id string) (*adminapi.Request, error) {
	return get[adminapi.Request](ctx, c, "/v1/requests/"+url.PathEscape(id))
}
