package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// show prints what a request has. The messages of storage have the form of requests.
func show(signal string, request []byte) error {
	var lines []string
	switch signal {
	case "trace", "traces": // over gRPC, over HTTP
		var d tracepb.TracesData
		if err := proto.Unmarshal(request, &d); err != nil {
			return err
		}
		for _, r := range d.ResourceSpans {
			for _, s := range r.ScopeSpans {
				for _, span := range s.Spans {
					lines = append(lines, spanLine(r.Resource, span))
				}
			}
		}
	case "logs":
		var d logspb.LogsData
		if err := proto.Unmarshal(request, &d); err != nil {
			return err
		}
		for _, r := range d.ResourceLogs {
			for _, s := range r.ScopeLogs {
				for _, l := range s.LogRecords {
					lines = append(lines, fmt.Sprintf("log %s %s %s%s", service(r.Resource), l.SeverityText, l.Body.GetStringValue(), trace(l.TraceId)))
				}
			}
		}
	case "metrics":
		var d metricspb.MetricsData
		if err := proto.Unmarshal(request, &d); err != nil {
			return err
		}
		for _, r := range d.ResourceMetrics {
			for _, s := range r.ScopeMetrics {
				for _, m := range s.Metrics {
					lines = append(lines, metricLines(r.Resource, m)...)
				}
			}
		}
	default:
		return fmt.Errorf("%s is no signal of OTLP", signal)
	}
	return write(lines)
}

var output sync.Mutex // lines of one request stay together

func write(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	output.Lock()
	defer output.Unlock()
	_, err := os.Stdout.WriteString(strings.Join(lines, "\n") + "\n")
	return err
}

func spanLine(r *resourcepb.Resource, s *tracepb.Span) string {
	kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
	status := attribute(s.Attributes, "http.response.status_code")
	if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		status += " failed"
	}
	return fmt.Sprintf("span %s %s %s: %s %s%s", service(r), kind, s.Name, attribute(s.Attributes, "url.path"), status, trace(s.TraceId))
}

// metricLines are the points of a metric that count something or are at some value.
func metricLines(r *resourcepb.Resource, m *metricspb.Metric) []string {
	var lines []string
	for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
		var labels []string
		for _, a := range p.Attributes {
			labels = append(labels, a.Key+"="+text(a.Value))
		}
		lines = append(lines, fmt.Sprintf("metric %s %s{%s} %g", service(r), m.Name, strings.Join(labels, ","), p.GetAsDouble()+float64(p.GetAsInt())))
	}
	return lines
}

func service(r *resourcepb.Resource) string { return attribute(r.GetAttributes(), "service.name") }

func attribute(list []*commonpb.KeyValue, key string) string {
	for _, a := range list {
		if a.Key == key {
			return text(a.Value)
		}
	}
	return ""
}

func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	}
	return ""
}

func trace(id []byte) string {
	if len(id) == 0 {
		return ""
	}
	return fmt.Sprintf(" trace %x", id)
}
