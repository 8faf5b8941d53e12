package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// catalogHandler lists and finds products. A product's stock is asked from the
// inventory through the edge's inner listener; without an answer in 150 ms the
// page comes without it.
func catalogHandler(name, inner string, client *http.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		q, category := strings.ToLower(r.FormValue("q")), r.FormValue("category")
		found := []Product{}
		for _, p := range products {
			if (category == "" || p.Category == category) && (q == "" || strings.Contains(strings.ToLower(p.Name+" "+strings.Join(p.Tags, " ")), q)) {
				found = append(found, p)
			}
		}
		writeJSON(w, http.StatusOK, map[string]any{"products": found, "count": len(found)})
	})
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		p, ok := productByID(r.PathValue("id"))
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such product")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 150*time.Millisecond)
		defer cancel()
		if n, err := askStock(ctx, client, inner, p.ID, r.Header); err == nil {
			p.InStock = &n
		}
		writeJSON(w, http.StatusOK, p)
	})
	return served(name, mux)
}

// innerHost is the host name under which the edge's inner listener serves a service.
func innerHost(service string) string { return service + ".internal" }

func askStock(ctx context.Context, client *http.Client, inner, id string, from http.Header) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, inner+"/stock/"+id, nil)
	if err != nil {
		return 0, err
	}
	req.Host = innerHost("inventory")
	passOn(req.Header, from)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("inventory answered %d", resp.StatusCode)
	}
	var s struct {
		Count int `json:"count"`
	}
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s.Count, err
}

// passOn copies what ties the requests of one exchange together.
func passOn(to, from http.Header) {
	for _, n := range [...]string{"X-Request-Id", "Traceparent", "Tracestate"} {
		if v := from.Get(n); v != "" {
			to.Set(n, v)
		}
	}
}
