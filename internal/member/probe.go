package member

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
)

// failures in a row make a workload unwell. The second look follows the first at once, so
// that one lost packet is no reason and a program that has ended is not waited for.
const failures = 2

// probe finds out whether a workload answers.
type probe struct {
	due    time.Time
	failed int
}

// look looks if it is time to; known tells whether there is an answer.
func (p *probe) look(ctx context.Context, d *declared.Workload) (well, known bool) {
	h := d.Health
	if h == (declared.Health{}) {
		return true, true // nobody asks it for anything
	}
	if time.Now().Before(p.due) {
		return false, false
	}
	if err := ask(ctx, netip.AddrPortFrom(d.Address, h.Port).String(), &h); err != nil {
		if p.failed++; p.failed >= failures {
			p.due = time.Now().Add(h.Interval)
			return false, true
		}
		return false, false
	}
	p.failed, p.due = 0, time.Now().Add(h.Interval)
	return true, true
}

// statusError is what an HTTP probe got that is not well.
type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// ask makes a connection, and a request if there is one to make.
func ask(ctx context.Context, at string, h *declared.Health) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if h.Path == "" {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err != nil {
			return err
		}
		return c.Close()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+h.Path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "gridway-health")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return statusError(answer.StatusCode)
	}
	return nil
}
