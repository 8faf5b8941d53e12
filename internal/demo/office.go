package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// officeSocket is the office's Unix socket, in the shop's folder.
const officeSocket = "office"

// office has what the services share, as a database would: the stock and the orders.
type office struct {
	stock  *stock
	ledger *ledger
}

func newOffice() *office { return &office{stock: newStock(), ledger: newLedger()} }

func (o *office) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		n, ok := o.stock.of(r.PathValue("id"))
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such product")
			return
		}
		writeJSON(w, http.StatusOK, Level{r.PathValue("id"), n})
	})
	mux.HandleFunc("POST /stock/{id}/take", func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ Count int }
		if !readJSON(w, r, &ask) {
			return
		}
		left, ok := o.stock.take(r.PathValue("id"), ask.Count)
		if !ok {
			writeError(w, http.StatusConflict, "that cannot be reserved")
			return
		}
		writeJSON(w, http.StatusOK, Level{r.PathValue("id"), left})
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var ord Order
		if readJSON(w, r, &ord) {
			writeJSON(w, http.StatusCreated, o.ledger.keep(ord))
		}
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		ord, ok := o.ledger.of(r.PathValue("id"))
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such order")
			return
		}
		writeJSON(w, http.StatusOK, ord)
	})
	return mux
}

// desk asks the office.
type desk struct{ client *http.Client }

func newDesk(dir string) *desk {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, officeSocket))
	}
	return &desk{client: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second}, Timeout: 2 * time.Second}}
}

// refused is an answer that is no fault of the office.
type refused struct{ status int }

func (e refused) Error() string { return fmt.Sprintf("status %d", e.status) }

// ask sends what is not nil, and reads the answer into out.
func ask(ctx context.Context, c *http.Client, method, url string, header http.Header, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, &body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	passOn(req.Header, header)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refused{resp.StatusCode}
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (d *desk) ask(ctx context.Context, method, path string, in, out any) error {
	return ask(ctx, d.client, method, "http://office"+path, nil, in, out)
}

// answer writes what the office said.
func answer(w http.ResponseWriter, status int, err error, v any) {
	var no refused
	switch {
	case err == nil:
		writeJSON(w, status, v)
	case errors.As(err, &no) && no.status == http.StatusNotFound:
		writeError(w, no.status, "there is no such thing")
	case errors.As(err, &no) && no.status < 500:
		writeError(w, no.status, "that cannot be done")
	default:
		writeError(w, http.StatusBadGateway, "the office did not answer: "+err.Error())
	}
}

// passOn copies what ties the requests of one exchange together.
func passOn(to, from http.Header) {
	for _, n := range [...]string{"X-Request-Id", "Traceparent", "Tracestate", "X-Canary"} {
		if v := from.Get(n); v != "" {
			to.Set(n, v)
		}
	}
}
