package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Order is a cart that was paid for, or is to be.
type Order struct {
	ID    string `json:"id"`
	User  string `json:"user"`
	Items []Item `json:"items"`
	Cents int    `json:"cents"`
	// Payment is "card", or "invoice" where the payment service does not answer.
	Payment string    `json:"payment"`
	Made    time.Time `json:"made"`
}

// orders takes the cart, reserves the stock and has the card charged; each of them
// through the sidecar, which retries what fails and knows when to stop asking.
type orders struct {
	client                    *http.Client
	office                    *desk
	cart, inventory, payments string
}

func (o *orders) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", o.checkout)
	mux.HandleFunc("GET /{id}", func(w http.ResponseWriter, r *http.Request) {
		var ord Order
		err := o.office.ask(r.Context(), http.MethodGet, "/orders/"+url.PathEscape(r.PathValue("id")), nil, &ord)
		answer(w, http.StatusOK, err, ord)
	})
	return mux
}

func (o *orders) checkout(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var asked struct {
		User string `json:"user"`
	}
	if !readJSON(w, r, &asked) {
		return
	}
	cart := o.cart + "/" + url.PathEscape(asked.User)
	var in struct{ Items []Item }
	err := ask(ctx, o.client, http.MethodGet, cart, r.Header, nil, &in)
	switch {
	case err != nil:
		writeError(w, http.StatusBadGateway, "the cart did not answer: "+err.Error())
		return
	case len(in.Items) == 0:
		writeError(w, http.StatusConflict, "the cart is empty")
		return
	}
	ord := Order{User: asked.User, Items: in.Items, Made: time.Now().UTC()}
	for _, it := range in.Items {
		err := ask(ctx, o.client, http.MethodPut, o.inventory+"/stock/"+it.Product+"/reserve", r.Header, map[string]int{"count": it.Count}, nil)
		if err != nil {
			writeError(w, http.StatusBadGateway, "the stock could not be reserved: "+err.Error())
			return
		}
		p, _ := productByID(it.Product)
		ord.Cents += p.Cents * it.Count
	}
	if ord.Payment, err = o.pay(ctx, r.Header, &ord); err != nil {
		writeError(w, http.StatusPaymentRequired, "the card was refused")
		return
	}
	if err := o.office.ask(ctx, http.MethodPost, "/orders", ord, &ord); err != nil {
		answer(w, 0, err, nil)
		return
	}
	_ = ask(ctx, o.client, http.MethodDelete, cart, r.Header, nil, nil) // a cart that stays full is not worth a failed order
	w.Header().Set("Location", "/api/orders/"+ord.ID)
	writeJSON(w, http.StatusCreated, ord)
}

// pay charges the card. While that cannot be done the customer gets an invoice.
func (o *orders) pay(ctx context.Context, header http.Header, ord *Order) (string, error) {
	err := ask(ctx, o.client, http.MethodPost, o.payments+"/", header, map[string]any{"user": ord.User, "cents": ord.Cents}, nil)
	var no refused
	switch {
	case err == nil:
		return "card", nil
	case errors.As(err, &no) && no.status == http.StatusPaymentRequired:
		return "", err
	case ctx.Err() != nil:
		return "", fmt.Errorf("the customer is gone: %w", err)
	}
	return "invoice", nil
}
