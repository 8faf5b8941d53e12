// Command greeter is a service that speaks gRPC and nothing else, on the port that
// it is given: HTTP/2 without TLS, messages in JSON. It has one method,
// greet.Greeter/Hello.
package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: greeter PORT")
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(serve), Protocols: &protocols}
	log.Fatal(server.ListenAndServe())
}

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/grpc+json" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", "application/grpc+json")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	answer, code, message := hello(r)
	if code == "0" {
		frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer)))
		w.Write(append(frame, answer...))
	}
	w.Header().Set("Grpc-Status", code)
	w.Header().Set("Grpc-Message", message)
}

func hello(r *http.Request) (answer []byte, code, message string) {
	if r.URL.Path != "/greet.Greeter/Hello" {
		return nil, "12", "no such method"
	}
	var prefix [5]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err != nil {
		return nil, "13", "no message"
	}
	var in struct{ Name string }
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	if err := json.NewDecoder(io.LimitReader(r.Body, size)).Decode(&in); err != nil {
		return nil, "3", "the message is not JSON"
	}
	if in.Name == "" {
		return nil, "3", "a name is needed"
	}
	answer, _ = json.Marshal(map[string]string{"greeting": "Hello, " + in.Name})
	return answer, "0", ""
}
