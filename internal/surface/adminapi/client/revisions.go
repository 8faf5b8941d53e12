package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gridway/gridway/internal/manage/objects"
)

// changing are the parameters of a change.
func changing(o objects.Options) string {
	q := url.Values{}
	if o.Message != "" {
		q.Set("message", o.Message)
	}
	if o.DryRun {
		q.Set("dryRun", "true")
	}
	if o.Expect > 0 {
		q.Set("expect", strconv.FormatInt(o.Expect, 10))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Apply makes or changes the objects of a text in YAML or JSON, all or none.
func (c *Client) Apply(ctx context.Context, text []byte, o objects.Options) (*objects.Applied, error) {
	return c.change(ctx, http.MethodPost, "/v1/apply"+changing(o), textHeader(yamlType, ""), text)
}

// Delete takes a managed object away.
func (c *Client) Delete(ctx context.Context, n objects.Name, o objects.Options) (*objects.Applied, error) {
	namespace := n.Namespace
	if namespace == "" {
		namespace = "-"
	}
	path := "/v1/objects/" + url.PathEscape(n.Kind) + "/" + url.PathEscape(namespace) + "/" + url.PathEscape(n.Name)
	return c.change(ctx, http.MethodDelete, path+changing(o), nil, nil)
}

// Rollback makes the managed objects what they were after a revision.
func (c *Client) Rollback(ctx context.Context, number int64, o objects.Options) (*objects.Applied, error) {
	return c.change(ctx, http.MethodPost, "/v1/revisions/"+strconv.FormatInt(number, 10)+"/rollback"+changing(o), nil, nil)
}

func (c *Client) change(ctx context.Context, method, path string, header http.Header, text []byte) (*objects.Applied, error) {
	resp, err := c.send(ctx, method, path, header, text)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := &objects.Applied{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
		return nil, fmt.Errorf("%s: the reply to %s cannot be read: %w", c.address, path, err)
	}
	return out, nil
}

// Revisions lists what has changed, the latest first, without texts.
func (c *Client) Revisions(ctx context.Context, q objects.Query) ([]objects.Revision, error) {
	v := url.Values{}
	if q.Object != nil {
		v.Set("object", q.Object.String())
	}
	if q.Before > 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return list[objects.Revision](ctx, c, "/v1/revisions?"+v.Encode())
}

// Revision is one of them with the texts of its objects.
func (c *Client) Revision(ctx context.Context, number int64) (*objects.Revision, error) {
	return get[objects.Revision](ctx, c, "/v1/revisions/"+strconv.FormatInt(number, 10))
}
