package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
)

// The names that policies may use are those that entries have.
func TestFieldsAreThoseOfIR(t *testing.T) {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	if diff := cmp.Diff(ir.LogFields(), names); diff != "" {
		t.Error(diff)
	}
}

func written(t *testing.T, e *Entry, p *ir.AccessLogPolicy) string {
	t.Helper()
	var out bytes.Buffer
	l := New(&out, Options{})
	f := NewFormat(p)
	f.Redact(e)
	l.LogAs(e, f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A format of all fields says what the usual line says.
func TestAllFieldsAsUsual(t *testing.T) {
	p := &ir.AccessLogPolicy{}
	for _, name := range ir.LogFields() {
		p.Fields = append(p.Fields, ir.LogField{Name: name})
	}
	for name, e := range map[string]*Entry{"full": full(), "empty": {Start: time.Unix(0, 0)}, "stream": {Start: time.Unix(0, 0), Stream: true, Reason: "NoRoute"}} {
		usual, got := map[string]any{}, map[string]any{}
		if err := json.Unmarshal([]byte(line(&encoder{}, e)), &usual); err != nil {
			t.Fatal(err)
		}
		text := written(t, e, p)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(usual, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOwnFields(t *testing.T) {
	p := &ir.AccessLogPolicy{
		Query: ir.QueryFull, HiddenHeaders: []string{"x-person", "user-agent"}, HiddenParameters: []string{"who"},
		Fields: []ir.LogField{
			{Name: "served", ResponseHeader: "x-served-by"}, {Name: "tenant", RequestHeader: "x-tenant"}, {Name: "status"}, {Name: "query"},
			{Name: "person", RequestHeader: "x-person"}, {Name: "key", RequestHeader: "x-api-key"}, {Name: "bearer", RequestHeader: "x-passed"},
			{Name: "none", ResponseHeader: "x-none"}, {Name: "user_agent"},
		},
	}
	e := full()
	e.Query = []byte("a=1&who=me&access_token=x&%77ho=me&plain")
	f := NewFormat(p)
	if got := strings.Join(append(f.RequestHeaders(), f.ResponseHeaders()...), " "); got != "x-tenant x-person x-api-key x-passed x-served-by x-none" {
		t.Fatalf("asks for %s", got)
	}
	e.Own = [][]byte{[]byte("a\"b"), []byte("me"), []byte("open sesame"), []byte("Bearer abcdefghijklmnop"), []byte("east"), nil}
	want := `{"served":"east","tenant":"a\"b","status":503,"query":"a=1&who=(hidden)&access_token=(hidden)&%77ho=(hidden)&plain","person":"(hidden)","key":"(hidden)","bearer":"(hidden)","user_agent":"(hidden)"}` + "\n"
	if got := written(t, e, p); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestTemplate(t *testing.T) {
	p := &ir.AccessLogPolicy{Template: true, Fields: []ir.LogField{
		{Name: "client"}, {Text: ` "`}, {Name: "path"}, {Text: `" `}, {Name: "status"}, {Text: " "}, {Name: "duration_ms"}, {Text: " "}, {Name: "destination"}, {Text: " $"}, {RequestHeader: "x-a"},
	}}
	e := full()
	e.Path, e.Own = []byte("/a\"\n\x1b[1m"), [][]byte{[]byte("é\xff")}
	want := `192.0.2.1 "/a\"\n\u001b[1m" 503 12.345 - $é\ufffd` + "\n"
	if got := written(t, e, p); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// However long the fields are, a line fits or is left out, and is whole.
func TestLongFields(t *testing.T) {
	p := &ir.AccessLogPolicy{}
	for range 96 {
		p.Fields = append(p.Fields, ir.LogField{Name: "x", RequestHeader: "x"})
	}
	e := full()
	for range 96 {
		e.Own = append(e.Own, bytes.Repeat([]byte("\x01"), 60_000))
	}
	got := written(t, e, p)
	if !strings.HasSuffix(got, "…\"}\n") || len(got) > 100_000 {
		t.Errorf("%d bytes, ending with %q", len(got), got[max(0, len(got)-20):])
	}
}

func TestRecord(t *testing.T) {
	e := full()
	got := &logspb.LogRecord{}
	Record(e, nil, func(b []byte) {
		if err := proto.Unmarshal(b, got); err != nil {
			t.Fatal(err)
		}
	})
	if got.SeverityText != "ERROR" || got.GetBody().GetStringValue() != "GET /cart/1 503" || len(got.TraceId) != 16 || got.TimeUnixNano != uint64(e.Start.UnixNano()) {
		t.Errorf("got %v", got)
	}
	attributes := map[string]*commonpb.AnyValue{}
	for _, a := range got.Attributes {
		attributes[a.Key] = a.Value
	}
	if attributes["http.response.status_code"].GetIntValue() != 503 || attributes["server.address"].GetStringValue() != "shop.example" ||
		attributes["gridway.duration_ms"].GetDoubleValue() != 12.345678 || attributes["url.query"] != nil {
		t.Errorf("got %v", attributes)
	}
	e.Path = []byte("/\xff" + strings.Repeat("é", 2000))
	Record(e, NewFormat(&ir.AccessLogPolicy{Fields: []ir.LogField{{Name: "path"}, {Name: "tenant", RequestHeader: "x-tenant"}}}), func(b []byte) {
		got.Reset()
		if err := proto.Unmarshal(b, got); err != nil {
			t.Fatal(err)
		}
		if v := got.Attributes[0].GetValue().GetStringValue(); len(got.Attributes) != 1 || !strings.HasPrefix(v, "/\ufffdé") || !strings.HasSuffix(v, "é…") {
			t.Errorf("got %v", got.Attributes)
		}
	})
}
