package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/gridway/gridway/internal/surface/adminapi"
)

// Effect says what a change would do: objects in YAML that are added or replaced, and
// names of those that are taken away.
func (c *Client) Effect(ctx context.Context, text []byte, gone ...string) (*adminapi.Effect, error) {
	path := "/v1/effect?" + url.Values{"delete": gone}.Encode()
	resp, err := c.send(ctx, http.MethodPost, path, textHeader("application/yaml", ""), text)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	e := &adminapi.Effect{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(e); err != nil {
		return nil, fmt.Errorf("%s: the reply to %s cannot be read: %w", c.address, path, err)
	}
	return e, nil
}
