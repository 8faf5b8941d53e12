// Command shop is a service that speaks gRPC and nothing else, on the port that
// it is given: shop.v1.Shop of shop.proto, whose descriptors it reads from the
// file that it is given.
package main

import (
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: shop PORT DESCRIPTORS")
	}
	service, err := load(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: &shop{service}, Protocols: &protocols}
	log.Fatal(server.ListenAndServe())
}

func load(path string) (protoreflect.ServiceDescriptor, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, err
	}
	d, err := files.FindDescriptorByName("shop.v1.Shop")
	if err != nil {
		return nil, err
	}
	return d.(protoreflect.ServiceDescriptor), nil
}

type shop struct {
	service protoreflect.ServiceDescriptor
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	code, message := s.call(w, r)
	w.Header().Set("Grpc-Status", code)
	w.Header().Set("Grpc-Message", message)
}

// call answers, and returns the status.
func (s *shop) call(w http.ResponseWriter, r *http.Request) (code, message string) {
	method := s.service.Methods().ByName(protoreflect.Name(strings.TrimPrefix(r.URL.Path, "/shop.v1.Shop/")))
	if method == nil {
		return "12", "no such method"
	}
	in := dynamicpb.NewMessage(method.Input())
	if err := read(r.Body, in); err != nil {
		return "3", err.Error()
	}
	text := func(m protoreflect.Message, name string) string {
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name))).String()
	}
	item := dynamicpb.NewMessage(method.Output())
	set := func(name string, v any) {
		item.Set(method.Output().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
	}
	if method.Name() == "CreateItem" {
		given := in.Get(method.Input().Fields().ByName("item")).Message()
		set("name", "items/"+text(in, "id"))
		set("title", text(given, "title"))
		write(w, item)
		return "0", ""
	}
	if name := text(in, "name"); name != "items/tea" {
		return "5", "there is no " + name
	}
	set("name", "items/tea")
	set("title", "Darjeeling")
	for stock := int32(3); stock > 0; stock-- {
		set("in_stock", stock)
		write(w, item)
		if method.Name() == "GetItem" {
			break
		}
	}
	return "0", ""
}

func read(body io.Reader, m proto.Message) error {
	var prefix [5]byte
	if _, err := io.ReadFull(body, prefix[:]); err != nil {
		return errors.New("no message")
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	if size > 1<<20 {
		return errors.New("a message of " + strconv.FormatInt(size, 10) + " bytes is too long")
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(body, message); err != nil {
		return err
	}
	return proto.Unmarshal(message, m)
}

func write(w io.Writer, m proto.Message) {
	message, err := proto.Marshal(m)
	if err != nil {
		log.Fatal(err)
	}
	w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
}
