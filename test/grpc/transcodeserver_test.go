package grpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/gridway/gridway/test/harness"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const itemsProto = `
syntax = "proto3";
package items.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Items {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/{name=items/*}" }; }
  rpc Create(CreateRequest) returns (Item) { option (google.api.http) = { post: "/v1/{parent=shelves/*}/items" body: "item" }; }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = { get: "/v1/{name=items/*}:watch" }; }
  rpc Import(stream Item) returns (Item) { option (google.api.http) = { post: "/v1/items:import" body: "*" }; }
  rpc Chat(stream Item) returns (stream Item) { option (google.api.http) = { post: "/v1/items:chat" body: "*" }; }
  rpc Page(Item) returns (google.api.HttpBody) { option (google.api.http) = { get: "/pages/{name=**}" }; }
  rpc Pieces(Item) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/pieces/{name=**}" }; }
  rpc Plain(Item) returns (Item);
}
message Item { string name = 1; int32 count = 2; string note = 3; }
message CreateRequest { string parent = 1; Item item = 2; }
`

// describe compiles a .proto file.
func describe(t *testing.T, source string) (protoreflect.FileDescriptor, []byte) {
	t.Helper()
	known := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		d, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: d}, err
	})
	c := protocompile.Compiler{Resolver: protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"items.proto": source})}, known,
	}}
	files, err := c.Compile(t.Context(), "items.proto")
	if err != nil {
		t.Fatal(err)
	}
	p := protodesc.ToFileDescriptorProto(files[0])
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{p}})
	if err != nil {
		t.Fatal(err)
	}
	// The library's own descriptors, which servers have.
	file, err := protodesc.NewFile(p, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file, set
}

// items serves items.v1.Items, of which it knows what the descriptors say.
type items struct {
	file    protoreflect.FileDescriptor
	set     []byte
	address string
	grpc    *grpc.Server
	// stuck, if not nil, keeps streams from going on after their first message.
	stuck chan struct{}
	// fails is how many calls about a flaky item fail yet.
	fails int32
	// only is the version of server reflection; empty is both. asked counts its streams.
	only  string
	asked atomic.Int32
}

func newItems(t *testing.T, source string) *items {
	s := &items{}
	s.file, s.set = describe(t, source)
	return s
}

// start serves at an address, or at a new one.
func (s *items) start(t *testing.T, address string) *items {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.grpc = l.Addr().String(), grpc.NewServer(grpc.UnknownServiceHandler(s.handle), grpc.MaxRecvMsgSize(64<<20),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if strings.HasPrefix(info.FullMethod, "/grpc.reflection.") {
				s.asked.Add(1)
			}
			return handler(srv, stream)
		}))
	resolver := new(protoregistry.Files)
	if err := resolver.RegisterFile(s.file); err != nil {
		t.Fatal(err)
	}
	o := reflection.ServerOptions{Services: s, DescriptorResolver: both{resolver}}
	if s.only != "v1alpha" {
		reflectionv1.RegisterServerReflectionServer(s.grpc, reflection.NewServerV1(o))
	}
	if s.only != "v1" {
		reflectionv1alpha.RegisterServerReflectionServer(s.grpc, reflection.NewServer(o))
	}
	go s.grpc.Serve(l)
	t.Cleanup(s.grpc.Stop)
	return s
}

// both resolves what a server has and what everybody has.
type both struct{ own *protoregistry.Files }

func (b both) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := b.own.FindFileByPath(path); err == nil {
		return f, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (b both) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := b.own.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// GetServiceInfo is for reflection.
func (s *items) GetServiceInfo() map[string]grpc.ServiceInfo {
	info := s.grpc.GetServiceInfo()
	for i := range s.file.Services().Len() {
		info[string(s.file.Services().Get(i).FullName())] = grpc.ServiceInfo{}
	}
	return info
}

func (s *items) handle(_ any, stream grpc.ServerStream) error {
	path, _ := grpc.MethodFromServerStream(stream)
	at := strings.LastIndexByte(path, '/')
	service := s.file.Services().ByName(protoreflect.FullName(path[1:at]).Name())
	if service == nil || service.Methods().ByName(protoreflect.Name(path[at+1:])) == nil {
		return status.Error(codes.Unimplemented, "unknown method "+path)
	}
	m := service.Methods().ByName(protoreflect.Name(path[at+1:]))
	in := dynamicpb.NewMessage(m.Input())
	read := func() error { in.Reset(); return stream.RecvMsg(in) }
	send := func(text string) error {
		out := dynamicpb.NewMessage(m.Output())
		if err := protojson.Unmarshal([]byte(text), out); err != nil {
			return err
		}
		return stream.SendMsg(out)
	}
	text := func() string {
		b, _ := protojson.Marshal(in)
		var compact bytes.Buffer // the library varies its white space from build to build
		_ = json.Compact(&compact, b)
		return compact.String()
	}
	name := func() string { return in.Get(m.Input().Fields().ByName("name")).String() }
	md, _ := metadata.FromIncomingContext(stream.Context())
	switch m.Name() {
	case "Import", "Chat":
		n := 0
		for {
			if err := read(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			n++
			if m.Name() == "Chat" {
				if err := send(fmt.Sprintf(`{"name":%q,"count":%d}`, name(), n)); err != nil {
					return err
				}
			}
		}
		if m.Name() == "Import" {
			return send(fmt.Sprintf(`{"count":%d}`, n))
		}
		return nil
	}
	if err := read(); err != nil {
		return err
	}
	switch m.Name() {
	case "Create":
		return send(fmt.Sprintf(`{"name":"made","note":%q}`, text()))
	case "Watch":
		for i := range 3 {
			if i == 2 && name() == "items/broken" {
				return status.Error(codes.Aborted, "no more")
			}
			if err := send(fmt.Sprintf(`{"name":%q,"count":%d}`, name(), i)); err != nil {
				return err
			}
			if s.stuck != nil {
				<-s.stuck
			}
		}
		if name() == "items/refused" {
			return status.Error(codes.PermissionDenied, "refused")
		}
		return nil
	case "Page":
		return send(`{"contentType":"text/html","data":"PGI+"}`)
	case "Pieces":
		for range 3 {
			if err := send(`{"contentType":"text/html","data":"PGI+"}`); err != nil {
				return err
			}
		}
		return nil
	}
	switch name() {
	case "items/missing":
		st, err := status.New(codes.NotFound, "there is no such item: é").WithDetails(&errdetails.ErrorInfo{Reason: "GONE"})
		if err != nil {
			return err
		}
		return st.Err()
	case "items/secret":
		return status.Error(codes.Unauthenticated, "who are you?")
	case "items/slow":
		select {
		case <-stream.Context().Done():
		case <-time.After(harness.Patience):
		}
		return stream.Context().Err()
	case "items/flaky":
		if s.fails > 0 {
			s.fails--
			return status.Error(codes.Unavailable, "not now")
		}
	case "items/metadata":
		stream.SetTrailer(metadata.Pairs("x-cost", "5"))
		if err := stream.SetHeader(metadata.Pairs("x-seen", strings.Join(md.Get("x-client"), ","))); err != nil {
			return err
		}
	case "items/large":
		return send(fmt.Sprintf(`{"note":%q}`, strings.Repeat("x", 3000)))
	}
	return send(fmt.Sprintf(`{"name":%q,"count":1}`, name()))
}
