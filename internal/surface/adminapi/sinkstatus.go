package adminapi

import "time"

// SinkStatus is how a TelemetrySink is, as seen from this process.
type SinkStatus struct {
	// Name is "namespace/name".
	Name string `json:"name"`
	// Kind is otlp, dogStatsD, file or standardOutput.
	Kind string `json:"kind"`
	// Address is that of the receiver or the agent, or the path of the file.
	Address string `json:"address,omitempty"`
	// State is idle while nothing was sent yet, up, or down; Since is since when, and Error why.
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
	// Signals are those of which there was something to send.
	Signals []SinkSignal `json:"signals"`
}

// SinkSignal is what became of the records of one signal since the sink was configured.
type SinkSignal struct {
	// Signal is traces, metrics or logs.
	Signal string `json:"signal"`
	// Queued records wait, of at most QueueLimit, and QueuedBytes of at most QueueLimitBytes.
	// Agents and files have no queue of records.
	Queued          int   `json:"queued"`
	QueueLimit      int   `json:"queueLimit,omitempty"`
	QueuedBytes     int64 `json:"queuedBytes"`
	QueueLimitBytes int64 `json:"queueLimitBytes,omitempty"`
	// Sent records were taken. Retries counts requests that were tried again.
	Sent    uint64 `json:"sent"`
	Retries uint64 `json:"retries"`
	// Lost counts records by the reasons of gridway_telemetry_sink_lost_records_total.
	Lost map[string]uint64 `json:"lost,omitempty"`
	// LastSuccess and LastFailure are when something was taken, and when it was not.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastFailure time.Time `json:"lastFailure,omitzero"`
}
