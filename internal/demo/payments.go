package demo

import (
	"math/rand/v2"
	"net/http"
)

// paymentsHandler charges cards, some of which are refused: an answer of 402 is no
// fault of the service.
func paymentsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var charge struct {
			User  string `json:"user"`
			Cents int    `json:"cents"`
		}
		switch {
		case !readJSON(w, r, &charge):
		case charge.Cents <= 0:
			writeError(w, http.StatusUnprocessableEntity, "there is nothing to pay")
		case rand.Float64() < 0.03:
			writeError(w, http.StatusPaymentRequired, "the card was refused")
		default:
			writeJSON(w, http.StatusOK, map[string]any{"user": charge.User, "cents": charge.Cents, "charged": true})
		}
	})
	return mux
}
