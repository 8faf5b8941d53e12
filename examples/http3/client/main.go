// Command client asks a URL over HTTP/3 and prints the answer.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func main() {
	ca := flag.String("ca", "", "PEM `FILE` of the authority that is trusted; default: the system's")
	connect := flag.String("connect", "", "`ADDRESS:PORT` to ask, whatever the URL says")
	move := flag.Bool("move", false, "ask again from another socket")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: client [-ca FILE] [-connect ADDRESS:PORT] [-move] URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, flag.Arg(0), *ca, *connect, *move); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, target, ca, connect string, move bool) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	config := &tls.Config{ServerName: u.Hostname(), NextProtos: []string{http3.NextProtoH3}}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New(ca + " has no certificate")
		}
	}
	if connect == "" {
		connect = net.JoinHostPort(u.Hostname(), port(u))
	}
	server, err := net.ResolveUDPAddr("udp", connect)
	if err != nil {
		return err
	}
	first, err := socket(server)
	if err != nil {
		return err
	}
	defer first.Close()
	conn, err := first.Dial(ctx, server, config, &quic.Config{})
	if err != nil {
		return err
	}
	defer conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	client := (&http3.Transport{}).NewClientConn(conn)
	if err := ask(ctx, client, target); err != nil || !move {
		return err
	}
	second, err := socket(server)
	if err != nil {
		return err
	}
	defer second.Close()
	path, err := conn.AddPath(second)
	if err != nil {
		return err
	}
	if err := path.Probe(ctx); err != nil {
		return err
	}
	if err := path.Switch(); err != nil {
		return err
	}
	fmt.Println("moved to another port, on the same connection")
	return ask(ctx, client, target)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

// socket opens a UDP socket of the server's family.
func socket(server *net.UDPAddr) (*quic.Transport, error) {
	network := "udp6"
	if server.IP.To4() != nil {
		network = "udp4"
	}
	c, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, err
	}
	return &quic.Transport{Conn: c}, nil
}

func ask(ctx context.Context, client http.RoundTripper, target string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
