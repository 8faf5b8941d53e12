// Command collector stands in for a collector of OpenTelemetry: it takes OTLP over gRPC on
// its first port and over HTTP on its second, if there is one, and prints a line for each
// span, log record and metric.
package main

import (
	"compress/gzip"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what requests are compressed with
)

// maxRequest bounds a request, in bytes, when it is not compressed any more.
const maxRequest = 16 << 20

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 || len(os.Args) > 3 {
		log.Fatal("usage: collector GRPC-PORT [HTTP-PORT]")
	}
	failed := make(chan error)
	go func() { failed <- serveGRPC("127.0.0.1:" + os.Args[1]) }()
	if len(os.Args) == 3 {
		s := &http.Server{Addr: "127.0.0.1:" + os.Args[2], ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(serveHTTP)}
		go func() { failed <- s.ListenAndServe() }()
	}
	log.Fatal(<-failed)
}

// serveGRPC takes every call as one of OTLP: its services differ in the signal alone, and
// an empty answer says that everything was taken.
func serveGRPC(address string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.ForceServerCodec(asBytes{}), grpc.MaxRecvMsgSize(maxRequest), grpc.UnknownServiceHandler(func(_ any, call grpc.ServerStream) error {
		var request, answer []byte
		if err := call.RecvMsg(&request); err != nil {
			return err
		}
		method, _ := grpc.MethodFromServerStream(call)
		if err := show(signalOf(method), request); err != nil {
			return err
		}
		return call.SendMsg(&answer)
	}))
	return s.Serve(l)
}

// signalOf tells what "/opentelemetry.proto.collector.trace.v1.TraceService/Export" is for.
func signalOf(method string) string {
	for _, signal := range []string{"trace", "metrics", "logs"} {
		if strings.Contains(method, ".collector."+signal+".") {
			return signal
		}
	}
	return method
}

func serveHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	request, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(body), maxRequest))
	if err == nil {
		err = show(strings.TrimPrefix(r.URL.Path, "/v1/"), request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// asBytes leaves messages as they are: who shows them knows what they are.
type asBytes struct{}

func (asBytes) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (asBytes) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (asBytes) Name() string { return "proto" }
