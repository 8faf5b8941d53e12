package metric

// Records are what a process remembers of exchanges for those who ask afterwards.
type Records struct {
	// Recorded are all, Notable those that live longer, Lost those that newer ones have
	// taken the place of.
	Recorded, Notable, Lost uint64
	// Bytes are taken, of Limit.
	Bytes, Limit int
}

// SetRecords names the function that tells of records at each scrape.
func (r *Registry) SetRecords(read func() Records) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = read
}

var (
	recordsFamily = define("gridway_trace_records_total", counter,
		"Exchanges and streams that were remembered for gridway trace, by kind: notable ones (sampled, slow, failed, refused), which live longer, and the others.", "kind")
	recordsLostFamily  = define("gridway_trace_records_lost_total", counter, "Records of all exchanges that newer ones have taken the place of; notable ones have a second place.")
	recordsBytesFamily = define("gridway_trace_memory_bytes", gauge, "Memory that is taken by records of exchanges.")
	recordsLimitFamily = define("gridway_trace_memory_limit_bytes", gauge, "Memory that records of exchanges may take: --telemetry-memory.")
)

func (e *emitter) remembered(s Records) {
	e.count(&recordsFamily, s.Notable, "notable")
	e.count(&recordsFamily, s.Recorded-min(s.Notable, s.Recorded), "other")
	e.count(&recordsLostFamily, s.Lost)
	e.gauge(&recordsBytesFamily, float64(s.Bytes))
	e.gauge(&recordsLimitFamily, float64(s.Limit))
}
