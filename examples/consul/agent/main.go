// Command agent stands for an agent of Consul, on the port that it is given: it
// answers the part of its HTTP API by which services are registered and asked for,
// keeps them in memory and checks the health of nothing.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gridway/gridway/internal/config/source/consul/consultest"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: agent PORT")
	}
	s := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: &consultest.Agent{}, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}
