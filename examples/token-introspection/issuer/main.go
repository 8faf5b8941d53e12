// Command issuer says what tokens are (RFC 7662), on the port that it is given, to
// the client "gateway". It knows two: that of ada, and one that was revoked.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: issuer PORT")
	}
	s := &http.Server{Addr: "127.0.0.1:" + os.Args[1], ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(introspect)}
	log.Fatal(s.ListenAndServe())
}

func introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != "gateway" || secret != "no-secret-since-everybody-can-read-it" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := map[string]any{"active": false}
	if r.PostFormValue("token") == "7f9c2ba4e88f827d" {
		answer = map[string]any{
			"active": true, "sub": "ada", "client_id": "billing", "scope": "orders reports", "aud": "shop",
			"exp": time.Now().Add(time.Hour).Unix(),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
