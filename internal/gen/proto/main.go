// Command proto writes Go from the .proto files of a folder. It is run by
// "go generate" from the folder that it is to work on.
//
// The files are parsed by a library and handed to the generators of protobuf-go and
// grpc-go, which tools/go.mod pins: nobody needs a protoc, or one of a certain version.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

const module = "github.com/gridway/gridway"

// plugins are the generators, by the names of their commands.
var plugins = []string{"protoc-gen-go", "protoc-gen-go-grpc"}

func main() {
	if err := run(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "proto:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	root, err := moduleRoot(folder)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.proto"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return errors.New("there is no .proto file in the folder; run it by go generate from the one that has them")
	}
	// Files name each other, and are named in errors, from the top of the module.
	var names []string
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, abs)
		if err != nil {
			return err
		}
		names = append(names, filepath.ToSlash(name))
	}
	request, err := parse(ctx, root, names)
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		if err := generate(ctx, root, plugin, request); err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
	}
	return nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot(folder string) (string, error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above %s", folder)
		}
	}
}

// parse reads files and what they import, and returns what plugins are asked.
func parse(ctx context.Context, root string, names []string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=" + module),
	}
	seen := map[string]bool{}
	for _, f := range files {
		appendFile(request, seen, f)
	}
	return request, nil
}

// appendFile puts what a file imports before it, as plugins want it.
func appendFile(request *pluginpb.CodeGeneratorRequest, seen map[string]bool, f protoreflect.FileDescriptor) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		appendFile(request, seen, imports.Get(i).FileDescriptor)
	}
	request.ProtoFile = append(request.ProtoFile, protoutil.ProtoFromFileDescriptor(f))
}

// generate runs one plugin and writes its files where go_package says.
func generate(ctx context.Context, root, plugin string, request *pluginpb.CodeGeneratorRequest) error {
	input, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", plugin)
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return err
	}
	if response.GetError() != "" {
		return errors.New(response.GetError())
	}
	for _, f := range response.GetFile() {
		if !filepath.IsLocal(f.GetName()) || filepath.Ext(f.GetName()) != ".go" {
			return fmt.Errorf("%q is no Go file of this module: the option go_package has to begin with %s/", f.GetName(), module)
		}
		if err := write(filepath.Join(root, filepath.FromSlash(f.GetName())), strings.TrimSuffix(f.GetContent(), "\n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// write leaves a file that is as it should be, so that nothing is built anew.
func write(path, content string) error {
	if was, err := os.ReadFile(path); err == nil && string(was) == content {
		return nil
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
