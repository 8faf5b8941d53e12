package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gridway/gridway/internal/manage/access"
)

// Manifest is a consumer of the state store, in the form of its kind.
type Manifest struct {
	Value json.RawMessage
	// ETag names its version, for changes that shall not overwrite others'.
	ETag string
}

const yamlType = "application/yaml"

func consumerPath(namespace, name string, more ...string) string {
	path := "/v1/consumers/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

// manifest sends a text and reads a consumer.
func (c *Client) manifest(ctx context.Context, method, path string, header http.Header, text []byte) (*Manifest, error) {
	resp, err := c.send(ctx, method, path, header, text)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	m := &Manifest{ETag: resp.Header.Get("ETag")}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&m.Value); err != nil {
		return nil, fmt.Errorf("%s: the reply to %s cannot be read: %w", c.address, path, err)
	}
	return m, nil
}

func textHeader(media, etag string) http.Header {
	h := http.Header{"Content-Type": {media}}
	if etag != "" {
		h.Set("If-Match", etag)
	}
	return h
}

// CreateConsumer makes a consumer from its manifest in YAML or JSON.
func (c *Client) CreateConsumer(ctx context.Context, text []byte) (*Manifest, error) {
	return c.manifest(ctx, http.MethodPost, "/v1/consumers", textHeader(yamlType, ""), text)
}

// Consumer is one of the state store's.
func (c *Client) Consumer(ctx context.Context, namespace, name string) (*Manifest, error) {
	return c.manifest(ctx, http.MethodGet, consumerPath(namespace, name), nil, nil)
}

// ReplaceConsumer writes a consumer's manifest in YAML or JSON, if it has the
// version of etag or that is empty.
func (c *Client) ReplaceConsumer(ctx context.Context, namespace, name string, text []byte, etag string) (*Manifest, error) {
	return c.manifest(ctx, http.MethodPut, consumerPath(namespace, name), textHeader(yamlType, etag), text)
}

// PatchConsumer changes a consumer's manifest by a merge patch.
func (c *Client) PatchConsumer(ctx context.Context, namespace, name string, patch any, etag string) (*Manifest, error) {
	text, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	return c.manifest(ctx, http.MethodPatch, consumerPath(namespace, name), textHeader("application/merge-patch+json", etag), text)
}

// DeleteConsumer takes one away, if it has the version of etag or that is empty.
func (c *Client) DeleteConsumer(ctx context.Context, namespace, name, etag string) error {
	h := http.Header{}
	if etag != "" {
		h.Set("If-Match", etag)
	}
	return c.done(ctx, http.MethodDelete, consumerPath(namespace, name), h)
}

// done sends a request whose reply has no body.
func (c *Client) done(ctx context.Context, method, path string, header http.Header) error {
	resp, err := c.send(ctx, method, path, header, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// CreateKey makes an API key for a consumer.
func (c *Client) CreateKey(ctx context.Context, namespace, consumer string, q access.NewKey) (*access.CreatedKey, error) {
	return call[access.CreatedKey](ctx, c, http.MethodPost, consumerPath(namespace, consumer, "keys"), q)
}

// RotateKey makes a key that takes over from another one.
func (c *Client) RotateKey(ctx context.Context, namespace, consumer, key string, q access.NewKey) (*access.CreatedKey, error) {
	return call[access.CreatedKey](ctx, c, http.MethodPost, consumerPath(namespace, consumer, "keys", key, "rotate"), q)
}

// RotateKeys makes an API key that takes over from all that a consumer has.
func (c *Client) RotateKeys(ctx context.Context, namespace, consumer string, q access.NewKey) (*access.CreatedKey, error) {
	return call[access.CreatedKey](ctx, c, http.MethodPost, consumerPath(namespace, consumer, "keys", "rotate"), q)
}

// RevokeKey takes a credential away.
func (c *Client) RevokeKey(ctx context.Context, namespace, consumer, key string) error {
	return c.done(ctx, http.MethodDelete, consumerPath(namespace, consumer, "keys", key), nil)
}

// ImportConsumers writes all Consumers of a YAML stream, or none.
func (c *Client) ImportConsumers(ctx context.Context, text []byte, dryRun bool) (*access.Imported, error) {
	resp, err := c.send(ctx, http.MethodPost, "/v1/consumers/import?dryRun="+strconv.FormatBool(dryRun), textHeader(yamlType, ""), text)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := &access.Imported{}
	return out, json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out)
}

// ExportConsumers writes the consumers of the state store as a YAML stream, those
// of one namespace unless that is empty.
func (c *Client) ExportConsumers(ctx context.Context, namespace string, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/consumers/export?"+url.Values{"namespace": {namespace}}.Encode(), nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// Tokens lists those of the API.
func (c *Client) Tokens(ctx context.Context) ([]access.Token, error) {
	return list[access.Token](ctx, c, "/v1/tokens")
}

// CreateToken makes one.
func (c *Client) CreateToken(ctx context.Context, q access.NewToken) (*access.CreatedToken, error) {
	return call[access.CreatedToken](ctx, c, http.MethodPost, "/v1/tokens", q)
}

// RevokeToken takes one away.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.done(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil)
}

// Audit reads the audit log, the latest changes first.
func (c *Client) Audit(ctx context.Context, q access.AuditQuery) ([]access.Change, error) {
	v := url.Values{"object": {q.Object}, "actor": {q.Actor}}
	if q.Before > 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return list[access.Change](ctx, c, "/v1/audit?"+v.Encode())
}

// Whoami says who asks, and in which role.
func (c *Client) Whoami(ctx context.Context) (*access.Actor, error) {
	return get[access.Actor](ctx, c, "/v1/whoami")
}
