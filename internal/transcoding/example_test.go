package transcoding_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gridway/gridway/internal/transcoding"
)

var update = flag.Bool("update", false, "write the example's descriptors anew")

// The descriptors of the example are those of its .proto file.
func TestExample(t *testing.T) {
	const dir = "../../examples/transcoding"
	source, err := os.ReadFile(filepath.Join(dir, "shop.proto"))
	if err != nil {
		t.Fatal(err)
	}
	annotated := annotations.File_google_api_annotations_proto
	http := annotations.File_google_api_http_proto
	files := []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(http), protodesc.ToFileDescriptorProto(annotated),
	}
	files = append(files, compile(t, map[string]string{"shop.proto": string(source)})...)
	want := set(t, files...)
	path := filepath.Join(dir, "shop.binpb")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := transcoding.Parse(got, transcoding.Options{})
	if err != nil || a.Bindings() != 3 {
		t.Fatal(a, err)
	}
	var is, should descriptorpb.FileDescriptorSet
	if err := errors.Join(proto.Unmarshal(got, &is), proto.Unmarshal(want, &should)); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&is, &should) { // bytes may differ

		t.Error("shop.binpb is not that of shop.proto; run this test with -update")
	}
}
