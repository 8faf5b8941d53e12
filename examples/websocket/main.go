// Command websocket is the service and the client of the example: the service
// sends each message back, over HTTP/1.1 or HTTP/2; the client says something
// over either and prints what comes back.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http2"
)

func main() {
	log.SetFlags(0)
	over2 := flag.Bool("http2", false, "open the WebSocket over HTTP/2, without TLS")
	stay := flag.Bool("stay", false, "wait for the other side to end it")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: websocket serve PORT\n       websocket [flags] say URL MESSAGE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	switch args := flag.Args(); {
	case len(args) == 2 && args[0] == "serve":
		s := &http.Server{Addr: "127.0.0.1:" + args[1], Handler: http.HandlerFunc(serve), ReadHeaderTimeout: 10 * time.Second}
		log.Fatal(s.ListenAndServe())
	case len(args) > 1 && args[0] == "say":
		open := over1
		if *over2 {
			if !strings.Contains(os.Getenv("GODEBUG"), "http2xconnect=1") {
				log.Fatal("Go's HTTP/2 client knows WebSocket with GODEBUG=http2xconnect=1 in its environment")
			}
			open = overHTTP2
		}
		if err := say(open, args[1], args[2:], *stay); err != nil {
			log.Fatal(err)
		}
	default:
		flag.Usage()
		os.Exit(2)
	}
}

// serve sends back what it hears.
func serve(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // the client was told
	}
	defer c.Close()
	for {
		p, op, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		if err := wsutil.WriteServerMessage(c, op, p); err != nil {
			return
		}
	}
}

// say sends the messages one after another, and then closes.
func say(open func(url string) (io.ReadWriteCloser, error), url string, messages []string, stay bool) error {
	c, err := open(url)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, m := range messages {
		if err := wsutil.WriteClientText(c, []byte(m)); err != nil {
			return err
		}
		p, err := wsutil.ReadServerText(c)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", p)
	}
	if !stay {
		if err := wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")); err != nil {
			return err
		}
	}
	_, err = wsutil.ReadServerText(c) // which answers the Close frame
	var closed wsutil.ClosedError
	if !errors.As(err, &closed) {
		return err
	}
	fmt.Println("closed:", closed.Code, closed.Reason)
	return nil
}

func over1(url string) (io.ReadWriteCloser, error) {
	c, _, _, err := ws.Dial(context.Background(), strings.Replace(url, "http", "ws", 1))
	return c, err
}

// stream is a stream of HTTP/2.
type stream struct {
	io.Reader
	io.WriteCloser
}

func overHTTP2(url string) (io.ReadWriteCloser, error) {
	//nolint:staticcheck // net/http's own transport refuses :protocol
	tr := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	body, out := io.Pipe()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodConnect, url, body)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
	resp, err := tr.RoundTrip(req) //nolint:bodyclose,staticcheck // as above; the end of the program closes it
	if err != nil {
		return nil, err
	}
	fmt.Println(resp.Proto, resp.Status)
	return stream{resp.Body, out}, nil
}
