package transcoding_test

import (
	"os"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gridway/gridway/internal/transcoding"
)

// compile makes descriptors of .proto files, without what they import.
func compile(t testing.TB, files map[string]string) []*descriptorpb.FileDescriptorProto {
	t.Helper()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	known := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		d, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: d}, err
	})
	c := protocompile.Compiler{Resolver: protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)}, known,
	}}
	built, err := c.Compile(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	var list []*descriptorpb.FileDescriptorProto
	for _, f := range built {
		list = append(list, protodesc.ToFileDescriptorProto(f))
	}
	return list
}

func set(t testing.TB, list ...*descriptorpb.FileDescriptorProto) []byte {
	t.Helper()
	b, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: list})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func library(t testing.TB) *transcoding.Schema {
	t.Helper()
	source, err := os.ReadFile("testdata/library.proto")
	if err != nil {
		t.Fatal(err)
	}
	s, err := transcoding.Parse(set(t, compile(t, map[string]string{"library.proto": string(source)})...), transcoding.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchema(t *testing.T) {
	s := library(t)
	if s.Methods() != 12 || s.Bindings() != 13 {
		t.Errorf("%d methods, %d bindings", s.Methods(), s.Bindings())
	}
	if got := s.Services(); len(got) != 1 || got[0] != "library.v1.Library" {
		t.Error(got)
	}
	if s.ByPath([]byte("/library.v1.Library/Plain")) == nil || s.ByPath([]byte("/library.v1.Library/None")) != nil {
		t.Error("paths of gRPC")
	}
}

// one makes a file with one service, whose method has these options.
func one(options string) string {
	return `syntax = "proto3"; package a.v1; import "google/api/annotations.proto"; import "google/protobuf/struct.proto";
message In { string name = 1; int32 n = 2; repeated string list = 3; map<string,string> map = 4; In in = 5; google.protobuf.Struct st = 6; string other = 7; }
message Out { string x = 1; }
service S { rpc M(In) returns (Out) { option (google.api.http) = {` + options + `}; } }`
}

func TestBadSchemas(t *testing.T) {
	for name, c := range map[string]struct{ options, want string }{
		"relative":        {`get: "v1"`, `a.proto: a.v1.S.M: google.api.http: the path "v1": at byte 1: it must begin with "/"`},
		"open":            {`get: "/v1/{name"`, `a.proto: a.v1.S.M: google.api.http: the path "/v1/{name": at byte 10: a variable lacks its "}"`},
		"inside":          {`get: "/v1/{name={n}}"`, `a variable cannot be inside another`},
		"no field":        {`get: "/v1/{nome}"`, `the path "/v1/{nome}": a.v1.In has no field nome`},
		"no message":      {`get: "/v1/{name.x}"`, `a.v1.In.name is no message, and has no fields`},
		"repeated":        {`get: "/v1/{list}"`, `list: a repeated field cannot be set by a path`},
		"map":             {`get: "/v1/{map}"`, `map: a map cannot be set by text`},
		"message":         {`get: "/v1/{in}"`, `in: a a.v1.In cannot be set by text`},
		"number of many":  {`get: "/v1/{n=a/*}"`, `n must be a string to take more than one segment`},
		"rest inside":     {`get: "/v1/**/x"`, `"**" must be the last segment`},
		"empty segment":   {`get: "/v1//x"`, `at byte 5: '/' cannot stand here`},
		"end":             {`get: "/v1/"`, `at byte 5: a segment is missing`},
		"verb":            {`get: "/v1:"`, `a verb must follow ":"`},
		"behind verb":     {`get: "/v1:a/b"`, `'/' stands behind the verb`},
		"behind variable": {`get: "/v1/{name}x"`, `'x' cannot stand here`},
		"twice":           {`get: "/v1/{name}/{name}"`, `the field name is there twice`},
		"percent":         {`get: "/v1/%zz"`, `the percent-encoding is not valid`},
		"path":            {`get: "/v1/{.name}"`, `".name" is not the path of a field`},
		"body":            {`post: "/v1" body: "nome"`, `body: a.v1.In has no field nome`},
		"nested body":     {`post: "/v1" body: "in.name"`, `body: a.v1.In has no field in.name`},
		"body of GET":     {`get: "/v1" body: "*"`, `body: a GET has no body`},
		"body in path":    {`post: "/v1/{name}" body: "name"`, `body: name is in the path already`},
		"response":        {`get: "/v1" response_body: "y"`, `response_body: a.v1.Out has no field y`},
		"nothing":         {`body: "*"`, `it has neither get, put, post, delete, patch nor custom`},
		"custom":          {`custom {path: "/v1"}`, `custom has no kind`},
		"conflict":        {`get: "/v1/{name}" additional_bindings {get: "/v1/{other}"}`, `additional_bindings[0]: GET /v1/{other} is the path of a.v1.S.M already`},
		"nested rules":    {`get: "/v1" additional_bindings {get: "/v2" additional_bindings {get: "/v3"}}`, `additional_bindings[0] has additional_bindings of its own`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transcoding.Parse(set(t, compile(t, map[string]string{"a.proto": one(c.options)})...), transcoding.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "a.proto: a.v1.S.M: ") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestBadSets(t *testing.T) {
	files := compile(t, map[string]string{
		"b.proto": `syntax = "proto3"; package b; message B {}`,
		"a.proto": `syntax = "proto3"; package a; import "b.proto"; service S { rpc M(b.B) returns (b.B); }`,
	})
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range files {
		byName[f.GetName()] = f
	}
	fault := func(in []byte, o transcoding.Options) string {
		_, err := transcoding.Parse(in, o)
		if err == nil {
			return ""
		}
		return err.Error()
	}
	check := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s, want %s", got, want)
		}
	}
	check(fault(set(t, byName["a.proto"], byName["b.proto"], byName["b.proto"]), transcoding.Options{}), "")
	check(fault(set(t, byName["a.proto"]), transcoding.Options{}), "a.proto imports b.proto, which is not in the set: make it with all imports")
	check(fault(set(t, byName["b.proto"]), transcoding.Options{}), "no file has a service")
	check(fault(nil, transcoding.Options{}), "it has no files")
	check(fault([]byte("syntax = proto3"), transcoding.Options{}), "it is not a google.protobuf.FileDescriptorSet")
	check(fault(set(t, files...), transcoding.Options{Services: []string{"a.T"}}), "there is no service a.T")
	check(fault(set(t, files...), transcoding.Options{Services: []string{"a.S"}}), "")
	unknown := proto.CloneOf(byName["a.proto"])
	unknown.Service[0].Method[0].InputType = proto.String(".b.C")
	check(fault(set(t, unknown, byName["b.proto"]), transcoding.Options{}), `a.proto: service method "a.S.M" cannot resolve input: "b.C" not found`)
	self := proto.CloneOf(byName["b.proto"])
	self.Dependency = []string{"b.proto"}
	check(fault(set(t, self), transcoding.Options{}), "b.proto imports itself")
	again := proto.CloneOf(byName["b.proto"])
	again.Name = proto.String("c.proto")
	check(fault(set(t, append(files, again)...), transcoding.Options{}), "c.proto: file \"c.proto\" has a name conflict over b.B")
}

func FuzzParse(f *testing.F) {
	f.Add(set(f, compile(f, map[string]string{"a.proto": one(`get: "/v1/{name=a/*}:x"`)})...))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := transcoding.Parse(in, transcoding.Options{})
		if (s == nil) == (err == nil) {
			t.Fatal(s, err)
		}
	})
}

// edited is the library with a part of its source replaced.
func edited(t testing.TB, old, with string) *transcoding.Schema {
	t.Helper()
	source, err := os.ReadFile("testdata/library.proto")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(source), old, with, 1)
	if text == string(source) {
		t.Fatalf("%s is not there", old)
	}
	s, err := transcoding.Parse(set(t, compile(t, map[string]string{"library.proto": text})...), transcoding.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
