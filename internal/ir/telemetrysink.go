package ir

import "time"

// TelemetrySink is a place where signals go. One of OTLP, DogStatsD, File and
// StandardOutput is set.
type TelemetrySink struct {
	// Name is "namespace/name" of the TelemetrySink.
	Name           string         `json:"name"`
	Ref            Ref            `json:"ref"`
	OTLP           *OTLPSink      `json:"otlp,omitempty"`
	DogStatsD      *DogStatsDSink `json:"dogStatsD,omitempty"`
	File           *FileSink      `json:"file,omitempty"`
	StandardOutput bool           `json:"standardOutput,omitempty"`
	// QueueItems and QueueBytes bound what waits, for each signal.
	QueueItems int   `json:"queueItems"`
	QueueBytes int64 `json:"queueBytes"`
	// Metrics says that the metrics of the process go there.
	Metrics bool `json:"metrics,omitempty"`
}

// OTLPSink is a receiver of OTLP.
type OTLPSink struct {
	// HTTP is protobuf over HTTP, and gRPC otherwise.
	HTTP bool `json:"http,omitempty"`
	// Address is "HOST:PORT".
	Address string `json:"address"`
	// Path is in front of "/v1/traces" and so on; empty or with a slash at its beginning
	// and none at its end.
	Path    string   `json:"path,omitempty"`
	Headers []Header `json:"headers,omitempty"`
	// TLS is nil for clear text.
	TLS             *UpstreamTLS  `json:"tls,omitempty"`
	Gzip            bool          `json:"gzip,omitempty"`
	Timeout         time.Duration `json:"timeout"`
	BatchDelay      time.Duration `json:"batchDelay"`
	MetricsInterval time.Duration `json:"metricsInterval"`
}

// DogStatsDSink is an agent that takes metrics as datagrams.
type DogStatsDSink struct {
	// Address is "HOST:PORT", or "unix:PATH".
	Address  string        `json:"address"`
	Prefix   string        `json:"prefix,omitempty"`
	Tags     []string      `json:"tags,omitempty"`
	Interval time.Duration `json:"interval"`
}

// FileSink is a file that is rotated.
type FileSink struct {
	Path     string        `json:"path"`
	MaxBytes int64         `json:"maxBytes"`
	MaxFiles int           `json:"maxFiles"`
	MaxAge   time.Duration `json:"maxAge,omitempty"` // zero is none
	Compress bool          `json:"compress,omitempty"`
}

// redacted is without what headers say, and without private keys.
func (s *TelemetrySink) redacted() *TelemetrySink {
	if s.OTLP == nil {
		return s
	}
	n, o := *s, *s.OTLP
	o.Headers = redactEach(o.Headers, func(h Header) Header {
		h.Value = Hidden
		return h
	})
	if o.TLS != nil {
		tls := *o.TLS
		tls.Certificate = o.TLS.Certificate.redacted()
		o.TLS = &tls
	}
	n.OTLP = &o
	return &n
}
