package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Order is a cart that was paid for.
type Order struct {
	ID    string    `json:"id"`
	User  string    `json:"user"`
	Items []Item    `json:"items"`
	Cents int       `json:"cents"`
	Made  time.Time `json:"made"`
}

const maxOrders = 1000

// orders takes the cart directly from the cart service and reserves stock
// through the edge's inner listener, which retries what fails.
type orders struct {
	name, inner, cart string
	client            *http.Client

	mu    sync.Mutex
	byID  map[string]Order // guarded by mu, as is order
	order []string
	next  int

	made feed[Order]
}

func newOrders(name, inner, cart string, client *http.Client) *orders {
	return &orders{name: name, inner: inner, cart: "http://" + cart, client: client, byID: map[string]Order{}}
}

func (o *orders) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", o.checkout)
	mux.HandleFunc("GET /{id}", func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		ord, ok := o.byID[r.PathValue("id")]
		o.mu.Unlock()
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such order")
			return
		}
		writeJSON(w, http.StatusOK, ord)
	})
	return served(o.name, mux)
}

func (o *orders) checkout(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		User string `json:"user"`
	}
	if !readJSON(w, r, &ask) {
		return
	}
	items, err := o.items(r.Context(), ask.User)
	switch {
	case err != nil:
		writeError(w, http.StatusBadGateway, "the cart did not answer: "+err.Error())
		return
	case len(items) == 0:
		writeError(w, http.StatusConflict, "the cart is empty")
		return
	}
	total := 0
	for _, it := range items {
		if err := o.reserve(r, it); err != nil {
			writeError(w, http.StatusBadGateway, "the stock could not be reserved: "+err.Error())
			return
		}
		p, _ := productByID(it.Product)
		total += p.Cents * it.Count
	}
	// A payment is refused now and then: an answer of 402 is no fault of ours.
	if rand.Float64() < 0.03 {
		writeError(w, http.StatusPaymentRequired, "the card was refused")
		return
	}
	ord := o.keep(Order{User: ask.User, Items: items, Cents: total, Made: time.Now().UTC()})
	o.empty(r.Context(), ask.User)
	w.Header().Set("Location", "/api/orders/"+ord.ID)
	writeJSON(w, http.StatusCreated, ord)
}

func (o *orders) keep(ord Order) Order {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	ord.ID = fmt.Sprintf("o-%06d", o.next)
	o.byID[ord.ID] = ord
	o.order = append(o.order, ord.ID)
	if len(o.order) > maxOrders {
		delete(o.byID, o.order[0])
		o.order = o.order[1:]
	}
	o.made.tell(ord)
	return ord
}

// since lists the orders after one that is known, oldest first.
func (o *orders) since(id string) []Order {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.Index(o.order, id)
	if at < 0 {
		return nil
	}
	var list []Order
	for _, id := range o.order[at+1:] {
		list = append(list, o.byID[id])
	}
	return list
}

func (o *orders) items(ctx context.Context, user string) ([]Item, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.cart+"/"+url.PathEscape(user), nil)
	if err != nil {
		return nil, err
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	var c struct {
		Items []Item `json:"items"`
	}
	err = json.NewDecoder(resp.Body).Decode(&c)
	return c.Items, err
}

func (o *orders) empty(ctx context.Context, user string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, o.cart+"/"+url.PathEscape(user), nil)
	if err != nil {
		return
	}
	if resp, err := o.client.Do(req); err == nil { // a cart that stays full is not worth a failed order
		resp.Body.Close()
	}
}

func (o *orders) reserve(from *http.Request, it Item) error {
	body, err := json.Marshal(map[string]int{"count": it.Count})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(from.Context(), http.MethodPut, o.inner+"/stock/"+it.Product+"/reserve", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Host = innerHost("inventory")
	req.Header.Set("Content-Type", "application/json")
	passOn(req.Header, from.Header)
	resp, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("inventory answered %d", resp.StatusCode)
	}
	return nil
}
