package client

import (
	"context"
	"net/url"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
)

// Graph is who has spoken to whom in the last time, in all namespaces or of one.
func (c *Client) Graph(ctx context.Context, window time.Duration, namespace string) (*signals.Graph, error) {
	q := url.Values{"window": {window.String()}}
	if namespace != "" {
		q.Set("namespace", namespace)
	}
	return get[signals.Graph](ctx, c, "/v1/graph?"+q.Encode())
}

// Signals is how something went in the last time; a step of 0 is the finest.
func (c *Client) Signals(ctx context.Context, of signals.Subject, window, step time.Duration) (*signals.Series, error) {
	q := url.Values{"of": {of.String()}, "window": {window.String()}}
	if step > 0 {
		q.Set("step", step.String())
	}
	return get[signals.Series](ctx, c, "/v1/signals?"+q.Encode())
}
