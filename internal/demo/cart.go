package demo

import (
	"net/http"
	"sync"
)

// Item is one line of a cart.
type Item struct {
	Product string `json:"product"`
	Count   int    `json:"count"`
}

// Bounds of what the demo remembers.
const (
	maxCarts = 10_000
	maxItems = 50
)

type carts struct {
	mu     sync.Mutex
	byUser map[string][]Item // guarded by mu
}

func newCarts() *carts { return &carts{byUser: map[string][]Item{}} }

func (c *carts) add(user string, it Item) ([]Item, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	items, known := c.byUser[user]
	if !known && len(c.byUser) >= maxCarts {
		clear(c.byUser)
	}
	for i := range items {
		if items[i].Product == it.Product {
			items[i].Count = min(items[i].Count+it.Count, 100)
			return append([]Item(nil), items...), true
		}
	}
	if len(items) >= maxItems {
		return nil, false
	}
	items = append(items, it)
	c.byUser[user] = items
	return append([]Item(nil), items...), true
}

func (c *carts) of(user string) []Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Item{}, c.byUser[user]...)
}

func (c *carts) drop(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byUser, user)
}

func (c *carts) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{user}", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"user": r.PathValue("user"), "items": c.of(r.PathValue("user"))})
	})
	mux.HandleFunc("POST /{user}/items", func(w http.ResponseWriter, r *http.Request) {
		var it Item
		if !readJSON(w, r, &it) {
			return
		}
		if _, ok := productByID(it.Product); !ok || it.Count < 1 || it.Count > 100 {
			writeError(w, http.StatusUnprocessableEntity, "a cart holds 1 to 100 pieces of a product that exists")
			return
		}
		items, ok := c.add(r.PathValue("user"), it)
		if !ok {
			writeError(w, http.StatusConflict, "the cart is full")
			return
		}
		writeJSON(w, http.StatusCreated, map[string]any{"user": r.PathValue("user"), "items": items})
	})
	mux.HandleFunc("DELETE /{user}", func(w http.ResponseWriter, r *http.Request) {
		c.drop(r.PathValue("user"))
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
