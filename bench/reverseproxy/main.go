// Command reverseproxy is the least that Go's standard library needs to proxy
// HTTP: what a team would write in an afternoon. The benchmark measures it
// beside Gridway.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	backend := flag.String("backend", "", "HOST:PORT of the backend")
	cert := flag.String("cert", "", "certificate in PEM; turns TLS 1.3 on")
	key := flag.String("key", "", "key of the certificate in PEM")
	http2 := flag.Bool("http2", false, "speak HTTP/2 to the backend, without TLS")
	flag.Parse()

	var from, to http.Protocols
	from.SetHTTP1(true)
	from.SetHTTP2(true)
	from.SetUnencryptedHTTP2(true)
	to.SetHTTP1(!*http2)
	to.SetUnencryptedHTTP2(*http2)
	target := &url.URL{Scheme: "http", Host: *backend}
	srv := &http.Server{
		Addr: *listen, ReadHeaderTimeout: time.Minute, ErrorLog: log.Default(), Protocols: &from,
		Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
			Transport: &http.Transport{
				Protocols: &to, MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 5 * time.Minute, DisableCompression: true,
			},
			BufferPool: &buffers{},
		},
	}
	if *cert == "" {
		log.Fatal(srv.ListenAndServe())
	}
	log.Fatal(srv.ListenAndServeTLS(*cert, *key))
}

// buffers reuses the copies' buffers, as net/http's documentation advises.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
