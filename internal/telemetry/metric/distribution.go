package metric

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// distribution is a histogram on its way out. The library's own constant
// histograms have either classic buckets or native ones, and Prometheus asks for
// both in one message (its formats of text have the classic ones alone).
type distribution struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	count     uint64
	sum       float64
	buckets   [exportedBuckets]uint64 // cumulative
	native    *nativeCounts
	exemplars [exportedBuckets + 1]exemplar
	born      time.Time
}

// Desc implements prometheus.Metric.
func (d *distribution) Desc() *prometheus.Desc { return d.desc }

// Write implements prometheus.Metric.
func (d *distribution) Write(out *dto.Metric) error {
	h := &dto.Histogram{SampleCount: &d.count, SampleSum: &d.sum}
	if !d.born.IsZero() {
		h.CreatedTimestamp = timestamppb.New(d.born)
	}
	for i := range d.buckets {
		bound := exportedBound(i)
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &d.buckets[i], Exemplar: d.exemplars[i].message()})
	}
	if last := d.exemplars[exportedBuckets].message(); last != nil {
		bound := math.Inf(1)
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &d.count, Exemplar: last})
	}
	if d.native != nil {
		d.writeNative(h)
	}
	out.Label, out.Histogram = d.labels, h
	return nil
}

// writeNative has the counts as spans of buckets that are not empty, each as the
// difference from the one before.
func (d *distribution) writeNative(h *dto.Histogram) {
	schema, zero := int32(nativeSchema), nativeZero()
	h.Schema, h.ZeroThreshold, h.ZeroCount = &schema, &zero, &d.native[0]
	var before int64
	end := int32(0) // the index after the last span; the first span's offset is from 0
	for i, n := range d.native[1:] {
		if n == 0 {
			continue
		}
		index := int32(nativeFirst + i)
		if last := len(h.PositiveSpan) - 1; last >= 0 && index == end {
			*h.PositiveSpan[last].Length++
		} else {
			offset, length := index-end, uint32(1)
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		end = index + 1
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-before)
		before = int64(n)
	}
	if len(h.PositiveSpan) == 0 {
		// A span without buckets tells a native histogram from a classic one.
		offset, length := int32(0), uint32(0)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: &offset, Length: &length}}
	}
	for i := range d.exemplars {
		if e := d.exemplars[i].message(); e != nil {
			h.Exemplars = append(h.Exemplars, e)
		}
	}
}

var traceLabel = "trace_id"

func (e *exemplar) message() *dto.Exemplar {
	if e.at.IsZero() {
		return nil
	}
	id, took := string(e.trace[:]), e.took.Seconds()
	return &dto.Exemplar{Label: []*dto.LabelPair{{Name: &traceLabel, Value: &id}}, Value: &took, Timestamp: timestamppb.New(e.at)}
}
