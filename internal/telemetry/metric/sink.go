package metric

import "time"

// Sink is what a TelemetrySink has taken of one signal.
type Sink struct {
	Name, Signal                             string
	Sent, Rejected, Failed, Dropped, Retries uint64
	// Lost says why records were: a part of each of Rejected, Failed and Dropped.
	Lost []SinkLoss
	// Items and Bytes wait, of at most ItemsLimit and BytesLimit; without limits there is
	// no queue of records.
	Items, ItemsLimit int
	Bytes, BytesLimit int64
	// LastSent and LastFailed are when something was taken, and when it was not; zero is
	// never.
	LastSent, LastFailed time.Time
}

// SinkLoss is why records were lost, in a word of the metric's description.
type SinkLoss struct {
	Reason string
	Count  uint64
}

// SetSinks names the function that tells of TelemetrySinks at each scrape.
func (r *Registry) SetSinks(read func(yield func(Sink))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sinks = read
}

var (
	sinkRecordsFamily = define("gridway_telemetry_sink_records_total", counter,
		"Records for a TelemetrySink by signal (traces, metrics, logs) and result: sent, rejected by the receiver, failed for good, or dropped because its queue was full.", "sink", "signal", "result")
	sinkLostFamily = define("gridway_telemetry_sink_lost_records_total", counter,
		"Records for a TelemetrySink that did not get there, by reason: full (no room in the queue, or an agent that does not read), long (of more bytes than a datagram has), rejected (by the receiver, which took others), refused (the receiver will not have the request), expired (it could not take it for five minutes), unreachable (an agent that is not there), unwritable (a file) and ended (the process or the sink has, before it was sent).",
		"sink", "signal", "reason")
	sinkRetriesFamily    = define("gridway_telemetry_sink_retries_total", counter, "Requests to a TelemetrySink that were tried again.", "sink", "signal")
	sinkItemsFamily      = define("gridway_telemetry_sink_queue_records", gauge, "Records that wait for a TelemetrySink, or are being sent.", "sink", "signal")
	sinkItemsLimitFamily = define("gridway_telemetry_sink_queue_limit_records", gauge, "Most records that may wait: spec.queue.maxItems.", "sink", "signal")
	sinkBytesFamily      = define("gridway_telemetry_sink_queue_bytes", gauge, "Bytes of records that wait for a TelemetrySink, or are being sent.", "sink", "signal")
	sinkBytesLimitFamily = define("gridway_telemetry_sink_queue_limit_bytes", gauge, "Most bytes that may wait: spec.queue.maxBytes.", "sink", "signal")
	sinkSuccessFamily    = define("gridway_telemetry_sink_last_success_timestamp_seconds", gauge, "When a TelemetrySink has taken something last, in seconds since 1970; not there before it has.", "sink", "signal")
	sinkFailureFamily    = define("gridway_telemetry_sink_last_failure_timestamp_seconds", gauge, "When a TelemetrySink did not take something last, in seconds since 1970, also if it was sent afterwards; not there before that.", "sink", "signal")
)

func (e *emitter) sink(s Sink) {
	if !e.room("sink") {
		return
	}
	for _, one := range []struct {
		result string
		n      uint64
	}{{"sent", s.Sent}, {"rejected", s.Rejected}, {"failed", s.Failed}, {"dropped", s.Dropped}} {
		e.count(&sinkRecordsFamily, one.n, s.Name, s.Signal, one.result)
	}
	for _, l := range s.Lost {
		e.count(&sinkLostFamily, l.Count, s.Name, s.Signal, l.Reason)
	}
	e.count(&sinkRetriesFamily, s.Retries, s.Name, s.Signal)
	if s.ItemsLimit > 0 {
		e.gauge(&sinkItemsFamily, float64(s.Items), s.Name, s.Signal)
		e.gauge(&sinkItemsLimitFamily, float64(s.ItemsLimit), s.Name, s.Signal)
		e.gauge(&sinkBytesFamily, float64(s.Bytes), s.Name, s.Signal)
		e.gauge(&sinkBytesLimitFamily, float64(s.BytesLimit), s.Name, s.Signal)
	}
	e.moment(&sinkSuccessFamily, s.LastSent, s.Name, s.Signal)
	e.moment(&sinkFailureFamily, s.LastFailed, s.Name, s.Signal)
}
