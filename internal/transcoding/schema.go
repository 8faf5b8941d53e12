// Package transcoding is what google.api.http says of services: it reads
// descriptors of Protocol Buffers, finds the method that a request of HTTP is
// for, and makes messages of JSON, paths and queries, and JSON of messages. What
// it makes is immutable and shared. It does no I/O and owns no goroutines.
// Package compile imports it to judge descriptors, and the filter to use them.
package transcoding

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	// Files that sets often lack although theirs import them.
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/apipb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// Schema is what descriptors say of services.
type Schema struct {
	root  node
	paths map[string]*Binding // by the path of gRPC
	types *resolver
	// bindings are those of root, in the order of the descriptors.
	bindings []*Binding
}

// Methods is how many methods the schema has; Bindings how many of HTTP.
func (s *Schema) Methods() int  { return len(s.paths) }
func (s *Schema) Bindings() int { return len(s.bindings) }

// Method is one of a service.
type Method struct {
	// Name is the full name, and Path that of gRPC.
	Name string
	Path []byte

	desc                         protoreflect.MethodDescriptor
	input, output                protoreflect.MessageDescriptor
	ClientStreams, ServerStreams bool
}

// Binding is a way in which HTTP calls a method.
type Binding struct {
	*Method
	// HTTPMethod is "*" for any.
	HTTPMethod string
	// Body: what of the message is the request's body.
	Body Body

	pattern     string
	template    template
	fields      [][]protoreflect.FieldDescriptor // of the template's variables
	bodyField   protoreflect.FieldDescriptor     // of BodyField
	response    protoreflect.FieldDescriptor     // nil: all
	rawRequest  bool                             // the body is a google.api.HttpBody
	rawResponse bool
	inPath      map[string]bool // fields that queries cannot set
}

// Body is what of a message comes in the body.
type Body uint8

const (
	NoBody Body = iota
	WholeBody
	BodyField
)

// maxBindings bounds a schema, and maxAdditional a rule.
const (
	maxBindings = 20_000
	httpBody    = "google.api.HttpBody"
)

// Options choose what is taken of descriptors.
type Options struct {
	// Services are the full names of those that can be called; none is all, but
	// for those of gRPC itself.
	Services []string
}

// Parse reads a google.protobuf.FileDescriptorSet. An error names every fault,
// with the file and the symbol where it is.
func Parse(set []byte, o Options) (*Schema, error) {
	var files descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &files); err != nil {
		return nil, errors.New("it is not a google.protobuf.FileDescriptorSet in binary form")
	}
	if len(files.File) == 0 {
		return nil, errors.New("it has no files")
	}
	return Build(files.File, o)
}

// Build makes a schema of the descriptors of files.
func Build(list []*descriptorpb.FileDescriptorProto, o Options) (*Schema, error) {
	list, err := complete(list)
	if err != nil {
		return nil, err
	}
	files, err := newFiles(list)
	if err != nil {
		return nil, err
	}
	s := &Schema{paths: map[string]*Binding{}, types: &resolver{dynamicpb.NewTypes(files)}}
	var faults []error
	wanted := map[string]bool{}
	for _, name := range o.Services {
		wanted[name] = false
	}
	for _, p := range list { // in the order of the set, so that messages are the same each time
		file, err := files.FindFileByPath(p.GetName())
		if err != nil {
			return nil, err
		}
		services := file.Services()
		for i := range services.Len() {
			service := services.Get(i)
			name := string(service.FullName())
			if _, listed := wanted[name]; listed {
				wanted[name] = true
			} else if len(o.Services) > 0 || strings.HasPrefix(name, "grpc.") {
				continue
			}
			methods := service.Methods()
			for j := range methods.Len() {
				for _, err := range s.addMethod(methods.Get(j)) {
					faults = append(faults, fmt.Errorf("%s: %s: %w", file.Path(), methods.Get(j).FullName(), err))
				}
			}
		}
	}
	for _, name := range o.Services {
		if !wanted[name] {
			faults = append(faults, fmt.Errorf("there is no service %s", name))
		}
	}
	switch {
	case len(faults) > 0:
		return nil, joined(faults)
	case len(s.paths) == 0:
		return nil, errors.New("no file has a service")
	}
	return s, nil
}

// joined is errors.Join for one line, and not for all of many.
func joined(faults []error) error {
	const most = 5
	var b strings.Builder
	for i, err := range faults {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(faults)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return errors.New(b.String())
}

// complete adds imported files that everybody has, and names those that are missing.
func complete(list []*descriptorpb.FileDescriptorProto) ([]*descriptorpb.FileDescriptorProto, error) {
	have := map[string]bool{}
	unique := make([]*descriptorpb.FileDescriptorProto, 0, len(list))
	for _, f := range list {
		if !have[f.GetName()] { // sets that were put together have files twice
			have[f.GetName()] = true
			unique = append(unique, f)
		}
	}
	for i := 0; i < len(unique); i++ {
		for _, name := range unique[i].GetDependency() {
			if have[name] {
				continue
			}
			known, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if err != nil {
				return nil, fmt.Errorf("%s imports %s, which is not in the set: make it with all imports (protoc --include_imports, or buf build)",
					unique[i].GetName(), name)
			}
			have[name] = true
			unique = append(unique, protodesc.ToFileDescriptorProto(known))
		}
	}
	return unique, nil
}

// newFiles links the files. The library does not say in which file its fault is
// unless they are added one by one.
func newFiles(list []*descriptorpb.FileDescriptorProto) (*protoregistry.Files, error) {
	files := new(protoregistry.Files)
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range list {
		byName[f.GetName()] = f
	}
	const (
		entered = 1
		done    = 2
	)
	state := map[string]int{}
	var add func(f *descriptorpb.FileDescriptorProto) error
	add = func(f *descriptorpb.FileDescriptorProto) error {
		name := f.GetName()
		switch state[name] {
		case done:
			return nil
		case entered:
			return fmt.Errorf("%s imports itself", name)
		}
		state[name] = entered
		for _, dep := range f.GetDependency() {
			if err := add(byName[dep]); err != nil {
				return err
			}
		}
		state[name] = done
		built, err := protodesc.NewFile(f, files)
		if err != nil {
			return fmt.Errorf("%s: %s", name, trim(err))
		}
		if err := files.RegisterFile(built); err != nil {
			return fmt.Errorf("%s: %s", name, trim(err))
		}
		return nil
	}
	for _, f := range list {
		if err := add(f); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// trim takes the library's name from its errors, whose space varies on purpose.
func trim(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
}

// addMethod adds a method with all its bindings.
func (s *Schema) addMethod(d protoreflect.MethodDescriptor) (faults []error) {
	m := &Method{
		Name: string(d.FullName()), Path: []byte("/" + string(d.Parent().FullName()) + "/" + string(d.Name())),
		desc: d, input: d.Input(), output: d.Output(),
		ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer(),
	}
	own := &Binding{Method: m, HTTPMethod: "POST", Body: WholeBody, pattern: string(m.Path)}
	own.settle()
	s.paths[string(m.Path)] = own
	rule, ok := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	rules := []*annotations.HttpRule{rule}
	for i, more := range rule.GetAdditionalBindings() {
		if len(more.GetAdditionalBindings()) > 0 {
			faults = append(faults, fmt.Errorf("additional_bindings[%d] has additional_bindings of its own", i))
			continue
		}
		rules = append(rules, more)
	}
	for i, r := range rules {
		where := "google.api.http"
		if i > 0 {
			where = fmt.Sprintf("google.api.http, additional_bindings[%d]", i-1)
		}
		b, err := newBinding(m, r)
		if err == nil {
			if err = s.root.add(b); err == nil {
				if s.bindings = append(s.bindings, b); len(s.bindings) > maxBindings {
					err = fmt.Errorf("there are more than %d bindings", maxBindings)
				}
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", where, err))
		}
	}
	return faults
}

// ByPath finds a method by its path of gRPC.
func (s *Schema) ByPath(path []byte) *Binding { return s.paths[string(path)] }

// Services lists the services that can be called.
func (s *Schema) Services() []string {
	var names []string
	for _, b := range s.paths {
		names = append(names, string(b.desc.Parent().FullName()))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// resolver finds types of the schema, and those that everybody knows.
type resolver struct{ own *dynamicpb.Types }

func (r *resolver) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if r.own != nil {
		if t, err := r.own.FindMessageByName(name); err == nil {
			return t, nil
		}
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

func (r *resolver) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	return r.FindMessageByName(protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:]))
}

func (r *resolver) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if r.own == nil {
		return nil, protoregistry.NotFound
	}
	return r.own.FindExtensionByName(name)
}

func (r *resolver) FindExtensionByNumber(message protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if r.own == nil {
		return nil, protoregistry.NotFound
	}
	return r.own.FindExtensionByNumber(message, n)
}
