// Command echo is the service behind the gateway in the examples: it answers
// with its name and the request as it got it, and can be slow or fail.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	fail := flag.Int("fail", 0, "percentage of requests answered with 503")
	delay := flag.Duration("delay", 0, "wait before each answer")
	size := flag.Int("size", 0, "pad answers to this many bytes")
	cert := flag.String("cert", "", "certificate in PEM, to speak HTTPS")
	key := flag.String("key", "", "its key")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: echo [flags] PORT...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	failed := make(chan error)
	for _, port := range flag.Args() {
		s := &http.Server{
			Addr: "127.0.0.1:" + port, ReadHeaderTimeout: 10 * time.Second,
			Handler: &echo{name: "echo on port " + port, fail: *fail, delay: *delay, size: *size},
		}
		go func() {
			if *cert != "" {
				failed <- s.ListenAndServeTLS(*cert, *key)
			} else {
				failed <- s.ListenAndServe()
			}
		}()
	}
	log.Fatal(<-failed)
}

type echo struct {
	name  string
	fail  int
	delay time.Duration
	size  int
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(e.delay):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if rand.IntN(100) < e.fail {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "%s fails\n", e.name)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s %s %s\nHost: %s\n", e.name, r.Method, r.RequestURI, r.Proto, r.Host)
	var lines []string
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, "\n") + "\n")
	if pad := e.size - b.Len(); pad > 0 {
		b.WriteString(strings.Repeat("gridway ", pad/8+1)[:pad])
	}
	if _, err := w.Write([]byte(b.String())); err != nil {
		log.Printf("%s: %v", e.name, err)
	}
}
