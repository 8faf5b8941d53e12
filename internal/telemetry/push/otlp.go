package push

import (
	"encoding/hex"
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// maxPoints bounds the points of one record, so that records of large configurations
// share batches like others.
const maxPoints = 200

// Fields of the messages of opentelemetry/proto/metrics/v1/metrics.proto.
const (
	metricName, metricHelp, metricUnit                  = 1, 2, 3
	metricGauge, metricSum, metricHisto, metricExpHisto = 5, 7, 9, 10
	dataPoints, dataTemporality, dataMonotonic          = 1, 2, 3
	cumulative                                          = 2

	pointStart, pointTime                 = 2, 3
	numberDouble, numberAttributes        = 4, 7
	histoCount, histoSum, histoBuckets    = 4, 5, 6
	histoBounds, histoExemplars           = 7, 8
	histoAttributes                       = 9
	expAttributes, expScale, expZero      = 1, 6, 7
	expPositive, expExemplars, expZeroEnd = 8, 11, 14
	bucketsOffset, bucketsCounts          = 1, 2

	exemplarTime, exemplarDouble, exemplarTrace = 2, 3, 5
)

// otlpSink sends records by the exporter's queue.
type otlpSink struct {
	sink     *export.Sink
	resource *otlp.Resource
	interval time.Duration
	buf      []byte
}

func (s *otlpSink) every() time.Duration                 { return s.interval }
func (s *otlpSink) prime([]*dto.MetricFamily, time.Time) {}
func (s *otlpSink) state() State                         { return State{} }
func (s *otlpSink) close()                               {}
func (s *otlpSink) send(list []*dto.MetricFamily, now time.Time) {
	if !s.sink.Takes() {
		return
	}
	for _, f := range list {
		for points := f.Metric; len(points) > 0; {
			n := min(len(points), maxPoints)
			s.buf = appendMetric(s.buf[:0], f, points[:n], now)
			if len(s.buf) > 0 {
				s.sink.Send(export.Metrics, s.resource, s.buf)
			}
			points = points[n:]
		}
	}
}

// appendMetric appends a Metric with some of the points of a family, or nothing if it is
// of a kind that OTLP has not. The names are those that Prometheus is told.
func appendMetric(b []byte, f *dto.MetricFamily, points []*dto.Metric, now time.Time) []byte {
	var field protowire.Number
	point := appendNumber
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		field = metricSum
	case dto.MetricType_GAUGE:
		field = metricGauge
	case dto.MetricType_HISTOGRAM:
		field, point = metricHisto, appendHistogram
		if points[0].GetHistogram().Schema != nil {
			field, point = metricExpHisto, appendExponential
		}
	default:
		return b
	}
	var data, one []byte
	for _, m := range points {
		one = point(one[:0], m, now)
		data = protowire.AppendTag(data, dataPoints, protowire.BytesType)
		data = protowire.AppendBytes(data, one)
	}
	if field != metricGauge {
		data = protowire.AppendTag(data, dataTemporality, protowire.VarintType)
		data = protowire.AppendVarint(data, cumulative)
	}
	if field == metricSum {
		data = protowire.AppendTag(data, dataMonotonic, protowire.VarintType)
		data = protowire.AppendVarint(data, 1)
	}
	b = appendText(b, metricName, f.GetName())
	b = appendText(b, metricHelp, f.GetHelp())
	b = appendText(b, metricUnit, unitOf(f.GetName()))
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, data)
}

// unitOf is the unit that the name ends in, as UCUM writes it.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"):
		return "By"
	}
	return ""
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, text)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return appendFixed(b, field, math.Float64bits(v))
}

func appendSigned(b []byte, field protowire.Number, v int64) []byte {
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

// appendTimes has when the point began to count, if that is known, and its time.
func appendTimes(b []byte, born interface {
	AsTime() time.Time
	IsValid() bool
}, now time.Time,
) []byte {
	if born.IsValid() {
		b = appendFixed(b, pointStart, uint64(born.AsTime().UnixNano()))
	}
	return appendFixed(b, pointTime, uint64(now.UnixNano()))
}

func appendLabels(b []byte, field protowire.Number, m *dto.Metric) []byte {
	for _, l := range m.Label {
		b = otlp.AppendText(b, field, l.GetName(), l.GetValue())
	}
	return b
}

func appendNumber(b []byte, m *dto.Metric, now time.Time) []byte {
	v := m.GetGauge().GetValue()
	if c := m.GetCounter(); c != nil {
		v = c.GetValue()
		b = appendTimes(b, c.GetCreatedTimestamp(), now)
	} else {
		b = appendFixed(b, pointTime, uint64(now.UnixNano()))
	}
	return appendLabels(appendDouble(b, numberDouble, v), numberAttributes, m)
}

func appendHistogram(b []byte, m *dto.Metric, now time.Time) []byte {
	h := m.GetHistogram()
	b = appendTimes(b, h.GetCreatedTimestamp(), now)
	b = appendFixed(b, histoCount, h.GetSampleCount())
	b = appendDouble(b, histoSum, h.GetSampleSum())
	var buckets, bounds []byte
	before := uint64(0)
	for _, k := range h.Bucket {
		if math.IsInf(k.GetUpperBound(), 1) {
			continue // it follows from the count
		}
		buckets = protowire.AppendFixed64(buckets, k.GetCumulativeCount()-before)
		bounds = protowire.AppendFixed64(bounds, math.Float64bits(k.GetUpperBound()))
		before = k.GetCumulativeCount()
	}
	buckets = protowire.AppendFixed64(buckets, h.GetSampleCount()-before)
	b = protowire.AppendTag(b, histoBuckets, protowire.BytesType)
	b = protowire.AppendBytes(b, buckets)
	b = protowire.AppendTag(b, histoBounds, protowire.BytesType)
	b = protowire.AppendBytes(b, bounds)
	for _, k := range h.Bucket {
		b = appendExemplar(b, histoExemplars, k.GetExemplar())
	}
	return appendLabels(b, histoAttributes, m)
}

// appendExponential has the native buckets: index i of Prometheus is the bucket up to
// base^i, and that of OTLP the one from it.
func appendExponential(b []byte, m *dto.Metric, now time.Time) []byte {
	h := m.GetHistogram()
	b = appendLabels(b, expAttributes, m)
	b = appendTimes(b, h.GetCreatedTimestamp(), now)
	b = appendFixed(b, histoCount, h.GetSampleCount())
	b = appendDouble(b, histoSum, h.GetSampleSum())
	b = appendSigned(b, expScale, int64(h.GetSchema()))
	b = appendFixed(b, expZero, h.GetZeroCount())
	first, counts := nativeBuckets(h)
	var packed []byte
	for _, n := range counts {
		packed = protowire.AppendVarint(packed, n)
	}
	var buckets []byte
	if len(counts) > 0 {
		buckets = appendSigned(buckets, bucketsOffset, int64(first)-1)
		buckets = protowire.AppendTag(buckets, bucketsCounts, protowire.BytesType)
		buckets = protowire.AppendBytes(buckets, packed)
	}
	b = protowire.AppendTag(b, expPositive, protowire.BytesType)
	b = protowire.AppendBytes(b, buckets)
	for _, x := range h.Exemplars {
		b = appendExemplar(b, expExemplars, x)
	}
	return appendDouble(b, expZeroEnd, h.GetZeroThreshold())
}

// nativeBuckets are the counts of the buckets from the first that is not empty.
func nativeBuckets(h *dto.Histogram) (first int, counts []uint64) {
	index, at, n := 0, 0, int64(0)
	for i, s := range h.PositiveSpan {
		index += int(s.GetOffset())
		if i == 0 {
			first = index
		} else {
			counts = append(counts, make([]uint64, s.GetOffset())...)
		}
		for range s.GetLength() {
			n += h.PositiveDelta[at]
			counts = append(counts, uint64(n))
			at++
		}
		index += int(s.GetLength())
	}
	return first, counts
}

func appendExemplar(b []byte, field protowire.Number, x *dto.Exemplar) []byte {
	if x == nil {
		return b
	}
	var one []byte
	one = appendFixed(one, exemplarTime, uint64(x.GetTimestamp().AsTime().UnixNano()))
	one = appendDouble(one, exemplarDouble, x.GetValue())
	for _, l := range x.Label {
		if id, err := hex.DecodeString(l.GetValue()); err == nil && l.GetName() == "trace_id" {
			one = protowire.AppendTag(one, exemplarTrace, protowire.BytesType)
			one = protowire.AppendBytes(one, id)
		}
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, one)
}
