package otlp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/gridway/gridway/internal/telemetry/otlp"
)

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

// What is written is what OpenTelemetry's own messages read.
func TestRequest(t *testing.T) {
	const attributes = 6 // of a LogRecord
	var record []byte
	record = otlp.AppendText(record, attributes, "host", "shop.example")
	record = otlp.AppendText(record, attributes, "empty", "")
	record = otlp.AppendInt(record, attributes, "status", 503)
	record = otlp.AppendInt(record, attributes, "below", -1)
	record = otlp.AppendDouble(record, attributes, "ms", 1.5)
	record = otlp.AppendBool(record, attributes, "good", true)
	r := otlp.NewResource("1.2", otlp.Attribute{Key: "service.name", Value: "edge"}, otlp.Attribute{Key: "none"})
	batch := otlp.AppendRecord(otlp.AppendRecord(nil, record), nil)
	if got, want := len(batch), otlp.RecordSize(len(record))+otlp.RecordSize(0); got != want {
		t.Errorf("the batch has %d bytes, RecordSize says %d", got, want)
	}
	got := &logspb.LogsData{}
	if err := proto.Unmarshal(otlp.AppendRequest(nil, r, batch), got); err != nil {
		t.Fatal(err)
	}
	want := &logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{Key: "service.name", Value: text("edge")}}},
		ScopeLogs: []*logspb.ScopeLogs{{
			Scope: &commonpb.InstrumentationScope{Name: "gridway", Version: "1.2"},
			LogRecords: []*logspb.LogRecord{{Attributes: []*commonpb.KeyValue{
				{Key: "host", Value: text("shop.example")},
				{Key: "status", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: 503}}},
				{Key: "below", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: -1}}},
				{Key: "ms", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: 1.5}}},
				{Key: "good", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}},
			}}, {}},
		}},
	}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// Lengths of one byte are written by another way than longer ones.
func TestAttributesOfAllLengths(t *testing.T) {
	const attributes = 6
	for key := 1; key < 140; key++ {
		for _, n := range []int{1, 2, 140 - key, 120, 127, 128, 129, 16383, 16384} {
			name, value := strings.Repeat("k", key), strings.Repeat("v", n)
			b := otlp.AppendInt(otlp.AppendText(nil, attributes, name, value), attributes, name, 1<<uint(n%63))
			got := &logspb.LogRecord{}
			if err := proto.Unmarshal(b, got); err != nil {
				t.Fatalf("%d, %d: %v", key, n, err)
			}
			if a := got.GetAttributes(); len(a) != 2 || a[0].GetKey() != name || a[0].GetValue().GetStringValue() != value ||
				a[1].GetKey() != name || a[1].GetValue().GetIntValue() != 1<<uint(n%63) {
				t.Fatalf("%d, %d: %v", key, n, a)
			}
		}
	}
	const far = 100 // two bytes of a tag
	if num, _, n := protowire.ConsumeTag(otlp.AppendText(nil, far, "k", "v")); num != far || n != 2 {
		t.Errorf("field %d", num)
	}
}

func TestPartialSuccess(t *testing.T) {
	inner := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "too old")
	inner = protowire.AppendVarint(protowire.AppendTag(inner, 1, protowire.VarintType), 7)
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	if n, why := otlp.PartialSuccess(body); n != 7 || why != "too old" {
		t.Errorf("got %d, %q", n, why)
	}
	for i := range body {
		otlp.PartialSuccess(body[:i]) // whatever comes
	}
	if n, why := otlp.PartialSuccess(nil); n != 0 || why != "" {
		t.Errorf("nothing: got %d, %q", n, why)
	}
}

func FuzzPartialSuccess(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{10, 4, 8, 7, 18, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, _ := otlp.PartialSuccess(b); n < 0 {
			t.Errorf("%d were rejected", n)
		}
	})
}
