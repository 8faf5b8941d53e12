package extauthz

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/open-policy-agent/opa/v1/rego"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

//go:embed policy.rego
var policy string

// opa is a server of external authorization.
type opa struct {
	authv3.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery

	mu    sync.Mutex // guards what follows
	last  *authv3.CheckRequest
	asked int
	slow  time.Duration
}

func newOPA(t *testing.T) *opa {
	t.Helper()
	query, err := rego.New(rego.Query("result = data.gridway.authz.result"), rego.Module("policy.rego", policy)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &opa{query: query}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve answers at an address until stop is called.
func (o *opa) serve(t *testing.T, address string) (served string, stop func()) {
	t.Helper()
	l := listen(t, address)
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	stop = sync.OnceFunc(func() { s.Stop(); <-done })
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func (o *opa) setSlow(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slow = d
}

// seen is the last question, and how many there were.
func (o *opa) seen() (*authv3.CheckRequest, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.asked
}

// Check has the policy decide, about an input like that of OPA's own plugin for
// Envoy.
func (o *opa) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	o.mu.Lock()
	o.last = r
	o.asked++
	slow := o.slow
	o.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	text, err := protojson.Marshal(r)
	if err != nil {
		return nil, err
	}
	var input map[string]any
	if err := json.Unmarshal(text, &input); err != nil {
		return nil, err
	}
	results, err := o.query.Eval(ctx, rego.EvalInput(input))
	if err != nil || len(results) != 1 {
		return nil, fmt.Errorf("%d results: %w", len(results), err)
	}
	return response(results[0].Bindings["result"])
}

// decision is what a policy may say.
type decision struct {
	Allowed  bool              `json:"allowed"`
	Status   int32             `json:"http_status"`
	Headers  map[string]string `json:"headers"`
	Remove   []string          `json:"request_headers_to_remove"`
	Add      map[string]string `json:"response_headers_to_add"`
	Query    map[string]string `json:"query_parameters_to_set"`
	Metadata map[string]any    `json:"dynamic_metadata"`
	Body     string            `json:"body"`
}

func response(result any) (*authv3.CheckResponse, error) {
	var d decision
	if allowed, plain := result.(bool); plain {
		d.Allowed = allowed
	} else if text, err := json.Marshal(result); err != nil {
		return nil, err
	} else if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	metadata, err := structpb.NewStruct(d.Metadata)
	if err != nil {
		return nil, err
	}
	if !d.Allowed {
		out := &authv3.CheckResponse{Status: &statuspb.Status{Code: int32(codes.PermissionDenied)}}
		if d.Status != 0 {
			out.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: typev3.StatusCode(d.Status)}, Headers: options(d.Headers), Body: d.Body,
			}}
		}
		return out, nil
	}
	ok := &authv3.OkHttpResponse{Headers: options(d.Headers), HeadersToRemove: d.Remove, ResponseHeadersToAdd: options(d.Add)}
	for name, value := range d.Query {
		ok.QueryParametersToSet = append(ok.QueryParametersToSet, &corev3.QueryParameter{Key: name, Value: value})
	}
	return &authv3.CheckResponse{
		Status:       &statuspb.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok}, DynamicMetadata: metadata,
	}, nil
}

func options(headers map[string]string) (out []*corev3.HeaderValueOption) {
	for name, value := range headers {
		out = append(out, &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}})
	}
	return out
}
