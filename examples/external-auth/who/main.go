// Command who says who sends requests, on the port that it is given: whoever has
// the cookie "session=ada" or "session=ben". It sends browsers that have none to a
// page where they could log in.
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
)

// teams are those of everybody who has logged in.
var teams = map[string]string{"ada": "blue", "ben": "red"}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: who PORT")
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(verify)))
}

func verify(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie("session")
	if err != nil {
		w.Header().Set("Location", "https://login.example/?next="+url.QueryEscape(r.Header.Get("X-Forwarded-Uri")))
		w.WriteHeader(http.StatusFound)
		return
	}
	team, known := teams[cookie.Value]
	if !known || team == "red" && r.Header.Get("X-Forwarded-Method") != http.MethodGet {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintln(w, "not for you")
		return
	}
	w.Header().Set("X-User", cookie.Value)
	w.Header().Set("X-Team", team)
}
