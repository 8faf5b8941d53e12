package metric

// Sink is what a TelemetrySink has taken of one signal.
type Sink struct {
	Name, Signal                             string
	Sent, Rejected, Failed, Dropped, Retries uint64
	Items                                    int
	Bytes                                    int64
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
	sinkRetriesFamily = define("gridway_telemetry_sink_retries_total", counter, "Requests to a TelemetrySink that were tried again.", "sink", "signal")
	sinkItemsFamily   = define("gridway_telemetry_sink_queue_records", gauge, "Records that wait for a TelemetrySink, or are being sent.", "sink", "signal")
	sinkBytesFamily   = define("gridway_telemetry_sink_queue_bytes", gauge, "Bytes of them.", "sink", "signal")
)

func (e *emitter) sink(s Sink) {
	for _, one := range []struct {
		result string
		n      uint64
	}{{"sent", s.Sent}, {"rejected", s.Rejected}, {"failed", s.Failed}, {"dropped", s.Dropped}} {
		e.count(&sinkRecordsFamily, one.n, s.Name, s.Signal, one.result)
	}
	e.count(&sinkRetriesFamily, s.Retries, s.Name, s.Signal)
	e.gauge(&sinkItemsFamily, float64(s.Items), s.Name, s.Signal)
	e.gauge(&sinkBytesFamily, float64(s.Bytes), s.Name, s.Signal)
}
