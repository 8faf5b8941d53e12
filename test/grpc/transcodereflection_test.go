package grpc

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Clients of server reflection see the endpoint's through the gateway.
func TestReflectionPasses(t *testing.T) {
	s := newItems(t, itemsProto).start(t, "")
	port := harness.FreePorts(t, 1)[0]
	start(t, gateway(listener("http", port, ""))+grpcRoute("items", "items", "http")+backend("items", s.address, ""))
	cc := dial(t, port, "grpc.example.com")
	v1, err := reflectionv1.NewServerReflectionClient(cc).ServerReflectionInfo(short(t))
	if err != nil {
		t.Fatal(err)
	}
	// One stream with a question after each answer, as grpcurl has it.
	ask := func(r *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := v1.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := v1.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	listed := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if text := listed.String(); !strings.Contains(text, "items.v1.Items") {
		t.Error(text)
	}
	found := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "items.v1.Items"}})
	var file descriptorpb.FileDescriptorProto
	list := found.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(list) == 0 || proto.Unmarshal(list[0], &file) != nil || file.GetName() != "items.proto" {
		t.Error(found)
	}
	if none := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: "none.proto"}}); none.GetErrorResponse() == nil {
		t.Error(none)
	}
	alpha, err := reflectionv1alpha.NewServerReflectionClient(cc).ServerReflectionInfo(short(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := alpha.Send(&reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if answer, err := alpha.Recv(); err != nil || !strings.Contains(answer.String(), "items.v1.Items") {
		t.Error(answer, err)
	}
}

// The schema comes from the endpoint, and changes with it; one that is not well
// formed changes nothing.
func TestTranscodingByReflection(t *testing.T) {
	for _, version := range []string{"v1", "v1alpha"} {
		t.Run(version, func(t *testing.T) {
			address := local(harness.FreePorts(t, 1)[0])
			port := harness.FreePorts(t, 1)[0]
			s := newItems(t, itemsProto)
			s.address, s.only = address, version
			config := strings.Split(transcodedConfig(s, port, "transcoding: {reflection: {refresh: 1s}}"), "---\napiVersion: v1\nkind: ConfigMap")[0]
			g := start(t, config)
			url := "http://" + local(port)
			if got := ask(t, "GET", url+"/v1/items/1", ""); got.status != 503 || got.header.Get("X-Gridway-Reason") != "SchemaUnavailable" {
				t.Fatal(got)
			}
			becomes := func(path string, status int) {
				t.Helper()
				var got answer
				if !harness.Soon(func() bool { got = ask(t, "GET", url+path, ""); return got.status == status }) {
					t.Fatalf("%s: %v, want %d", path, got, status)
				}
			}
			s.start(t, address)
			becomes("/v1/items/1", 200)
			if text := g.explain("GET", url+"/v1/items/1"); !strings.Contains(text, `"binding":"GET /v1/{name=items/*}"`) {
				t.Errorf("explained as %s", text)
			}

			// Another version of the service, with another path.
			s.grpc.Stop()
			next := newItems(t, strings.Replace(itemsProto, `get: "/v1/{name=items/*}"`, `get: "/v2/{name=items/*}"`, 1))
			next.only = version
			next.start(t, address)
			becomes("/v2/items/1", 200)
			becomes("/v1/items/1", 404)

			// One whose annotations contradict each other changes nothing.
			next.grpc.Stop()
			bad := newItems(t, strings.Replace(itemsProto, `get: "/v1/{name=items/*}"`, `get: "/v3/{name=items/*}" additional_bindings { get: "/v3/items/{note}" }`, 1))
			bad.only = version
			bad.start(t, address)
			if !harness.Soon(func() bool { return bad.asked.Load() >= 4 }) { // twice, both questions
				t.Fatal("the endpoint was not asked")
			}
			becomes("/v2/items/1", 200)
		})
	}
}
