package demo

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pagePatience is how long a product's page waits for what others know of it.
const pagePatience = 150 * time.Millisecond

// catalog lists and finds products. A product's stock is asked from the inventory
// and its stars from the reviews; what does not come in time is left out.
type catalog struct {
	client             *http.Client
	inventory, reviews string
}

func (c *catalog) handler() http.Handler {
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
		c.complete(r, &p)
		writeJSON(w, http.StatusOK, p)
	})
	return mux
}

func (c *catalog) complete(r *http.Request, p *Product) {
	ctx, cancel := context.WithTimeout(r.Context(), pagePatience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		var level Level
		if ask(ctx, c.client, http.MethodGet, c.inventory+"/stock/"+p.ID, r.Header, nil, &level) == nil {
			p.InStock = &level.Count
		}
	})
	wg.Go(func() {
		var said struct{ Stars *float64 }
		if ask(ctx, c.client, http.MethodGet, c.reviews+"/api/reviews/"+p.ID, r.Header, nil, &said) == nil {
			p.Stars = said.Stars
		}
	})
	wg.Wait()
}
