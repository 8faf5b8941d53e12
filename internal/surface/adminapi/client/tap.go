package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gridway/gridway/internal/telemetry/tap"
)

// maxEvent bounds a line of a tap.
const maxEvent = 128 << 10

// Tap gives what passes to take, and as it came, until take fails, ctx ends, or the tap
// does. The parameters are those of GET /v1/tap.
func (c *Client) Tap(ctx context.Context, parameters url.Values, take func(e *tap.Event, line []byte) error) error {
	patient := *c
	patient.http = &http.Client{Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect} // which lasts as long as it may
	resp, err := patient.send(ctx, http.MethodGet, "/v1/tap?"+parameters.Encode(), http.Header{"Accept": {"application/x-ndjson"}}, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 16<<10), maxEvent)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		e := &tap.Event{}
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			return fmt.Errorf("%s: an event cannot be read: %w", c.address, err)
		}
		if err := take(e, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: the tap has broken off: %w", c.address, err)
	}
	return ctx.Err()
}
