package schema

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/health"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Both versions of the protocol have the same messages
// (grpc/reflection/v1/reflection.proto of github.com/grpc/grpc-proto).
var reflectionPaths = []string{
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

// Fields of ServerReflectionRequest and ServerReflectionResponse.
const (
	fileByFilename       = 3
	fileContainingSymbol = 4
	listServices         = 7

	fileDescriptorResponse = 4
	listServicesResponse   = 6
	errorResponse          = 7
)

// Bounds of what endpoints may answer.
const (
	fetchTimeout  = 10 * time.Second
	maxAnswer     = 16 << 20
	maxServices   = 500
	maxNameLength = 512
	maxRounds     = 32
	prefixSize    = 5
)

// client asks one cluster.
type client struct {
	ctx     context.Context
	cluster *upstream.Cluster
	host    string
	path    string // of the version that the endpoint has
	by      int64
	left    int // bytes that may still come
}

// fetch asks for the descriptors of services, or of all, and what they import.
func fetch(ctx context.Context, cluster *upstream.Cluster, host string, services []string) ([]*descriptorpb.FileDescriptorProto, error) {
	c := &client{ctx: ctx, cluster: cluster, host: host, by: netx.After(fetchTimeout), left: maxAnswer}
	listed, err := c.list()
	if err != nil {
		return nil, err
	}
	if len(services) == 0 {
		services = slices.DeleteFunc(listed, func(name string) bool { return strings.HasPrefix(name, "grpc.") })
	}
	switch {
	case len(services) == 0:
		return nil, errors.New("the endpoint has no services but those of gRPC itself")
	case len(services) > maxServices:
		return nil, fmt.Errorf("the endpoint has more than %d services", maxServices)
	}
	files := map[string]*descriptorpb.FileDescriptorProto{}
	if err := c.files(fileContainingSymbol, services, files); err != nil {
		return nil, err
	}
	for range maxRounds { // some servers send the files alone, without what they import
		missing := lacking(files)
		if len(missing) == 0 {
			break
		}
		if err := c.files(fileByFilename, missing, files); err != nil {
			return nil, err
		}
	}
	list := make([]*descriptorpb.FileDescriptorProto, 0, len(files))
	for _, f := range files {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *descriptorpb.FileDescriptorProto) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list, nil
}

func lacking(files map[string]*descriptorpb.FileDescriptorProto) (names []string) {
	for _, f := range files {
		for _, name := range f.GetDependency() {
			if files[name] == nil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// list names the services, and finds out which version the endpoint has.
func (c *client) list() ([]string, error) {
	var names []string
	for _, c.path = range reflectionPaths {
		names = nil
		err := c.ask(request(nil, listServices, ""), func(number protowire.Number, v []byte) error {
			if number != listServicesResponse {
				return nil
			}
			return fields(v, func(number protowire.Number, v []byte) error {
				if number != 1 { // service
					return nil
				}
				return fields(v, func(number protowire.Number, v []byte) error {
					if number == 1 && len(names) <= maxServices { // name
						names = append(names, string(v))
					}
					return nil
				})
			})
		})
		var status *health.StatusError
		if errors.As(err, &status) && status.Code == grpc.Unimplemented {
			continue
		}
		return names, err
	}
	return nil, errors.New("the endpoint has no server reflection, neither v1 nor v1alpha")
}

// files asks for the files that names stand for.
func (c *client) files(kind protowire.Number, names []string, into map[string]*descriptorpb.FileDescriptorProto) error {
	for len(names) > 0 {
		var question []byte
		for len(names) > 0 && len(question) < health.MaxQuestion-maxNameLength-32 {
			if len(names[0]) > maxNameLength {
				return errors.New("a name is too long")
			}
			question = request(question, kind, names[0])
			names = names[1:]
		}
		before := len(into)
		err := c.ask(question, func(number protowire.Number, v []byte) error {
			if number != fileDescriptorResponse {
				return nil
			}
			return fields(v, func(number protowire.Number, v []byte) error {
				if number != 1 { // file_descriptor_proto
					return nil
				}
				f := &descriptorpb.FileDescriptorProto{}
				if err := proto.Unmarshal(v, f); err != nil {
					return errors.New("the endpoint's answer has a file that is none")
				}
				if into[f.GetName()] == nil {
					into[f.GetName()] = f
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if kind == fileByFilename && len(into) == before {
			return errors.New("the endpoint does not have files that its files import")
		}
	}
	return nil
}

// request appends a ServerReflectionRequest with its prefix.
func request(dst []byte, kind protowire.Number, value string) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0)
	dst = protowire.AppendTag(dst, kind, protowire.BytesType)
	dst = protowire.AppendString(dst, value)
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-prefixSize))
	return dst
}

// ask sends requests and calls each with the fields of their answers.
func (c *client) ask(question []byte, each func(protowire.Number, []byte) error) error {
	answer, err := c.cluster.Question(c.ctx, &health.Question{Path: c.path, Host: c.host, Messages: question, Most: c.left}, c.by)
	if err != nil {
		return err
	}
	c.left -= len(answer)
	return responses(answer, each)
}

// responses takes the messages of an answer apart.
func responses(in []byte, each func(protowire.Number, []byte) error) error {
	for len(in) > 0 {
		if len(in) < prefixSize || in[0] != 0 || uint64(binary.BigEndian.Uint32(in[1:])) > uint64(len(in)-prefixSize) {
			return errAnswer
		}
		size := int(binary.BigEndian.Uint32(in[1:]))
		err := fields(in[prefixSize:prefixSize+size], func(number protowire.Number, v []byte) error {
			if number == errorResponse {
				return reported(v)
			}
			return each(number, v)
		})
		if err != nil {
			return err
		}
		in = in[prefixSize+size:]
	}
	return nil
}

var errAnswer = errors.New("the endpoint's answer is not one of server reflection")

// reported is what an ErrorResponse says.
func reported(v []byte) error {
	message := ""
	err := fields(v, func(number protowire.Number, v []byte) error {
		if number == 2 { // error_message
			message = string(v)
		}
		return nil
	})
	return errors.Join(err, fmt.Errorf("the endpoint says: %.200s", strings.ToValidUTF8(message, "\uFFFD")))
}

// fields calls each with the fields of a message that have a length.
func fields(in []byte, each func(protowire.Number, []byte) error) error {
	for len(in) > 0 {
		number, kind, n := protowire.ConsumeTag(in)
		if n < 0 {
			return errAnswer
		}
		in = in[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, in); n < 0 {
				return errAnswer
			}
			in = in[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(in)
		if n < 0 {
			return errAnswer
		}
		if err := each(number, v); err != nil {
			return err
		}
		in = in[n:]
	}
	return nil
}
