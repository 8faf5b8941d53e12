package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TelemetrySink is a place where proxies send what they have seen: a receiver of OTLP,
// a DogStatsD agent, a file, or the standard output. TelemetryPolicies in the same
// namespace name it with `sinkRefs`; one that no policy names gets nothing.
//
// Each sink has a queue of its own in each proxy. Traffic never waits for it: what finds
// no room is dropped and counted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=telemetrysinks,categories=gridway,shortName=tsink
// +kubebuilder:printcolumn:name="OTLP",type=string,JSONPath=`.spec.otlp.address`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TelemetrySink struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec TelemetrySinkSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status TelemetrySinkStatus `json:"status,omitempty"`
}

// TelemetrySinkList is a list of TelemetrySinks.
//
// +kubebuilder:object:root=true
type TelemetrySinkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TelemetrySink `json:"items"`
}

// TelemetrySinkSpec is the desired state of a TelemetrySink. Exactly one kind of sink
// must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of otlp, dogStatsD, file and standardOutput must be given",rule="(has(self.otlp) ? 1 : 0) + (has(self.dogStatsD) ? 1 : 0) + (has(self.file) ? 1 : 0) + (has(self.standardOutput) ? 1 : 0) == 1"
type TelemetrySinkSpec struct {
	// OTLP is a receiver of the OpenTelemetry protocol: a collector, Jaeger, Tempo,
	// Datadog's agent. It takes traces, metrics and logs.
	// +optional
	OTLP *OTLPSink `json:"otlp,omitempty"`

	// DogStatsD is Datadog's agent, or what speaks as it does. It takes metrics.
	// +optional
	DogStatsD *DogStatsDSink `json:"dogStatsD,omitempty"`

	// File is a file on the machine of each proxy, which is rotated. It takes access
	// logs.
	// +optional
	File *FileSink `json:"file,omitempty"`

	// StandardOutput is that of each proxy's process. It takes access logs.
	// +optional
	StandardOutput *StandardOutputSink `json:"standardOutput,omitempty"`

	// Queue bounds what waits in a proxy for the sink.
	// +optional
	Queue *SinkQueue `json:"queue,omitempty"`
}

// OTLPProtocol is how OTLP is spoken.
//
// +kubebuilder:validation:Enum=GRPC;HTTP
type OTLPProtocol string

const (
	// OTLPOverGRPC is gRPC, usually on port 4317.
	OTLPOverGRPC OTLPProtocol = "GRPC"
	// OTLPOverHTTP is HTTP with binary protobuf, usually on port 4318.
	OTLPOverHTTP OTLPProtocol = "HTTP"
)

// TelemetrySignal is a kind of telemetry.
//
// +kubebuilder:validation:Enum=Traces;Metrics;Logs
type TelemetrySignal string

const (
	// SignalTraces are spans.
	SignalTraces TelemetrySignal = "Traces"
	// SignalMetrics are the metrics of a process.
	SignalMetrics TelemetrySignal = "Metrics"
	// SignalLogs are access logs.
	SignalLogs TelemetrySignal = "Logs"
)

// SinkCompression is how requests are compressed.
//
// +kubebuilder:validation:Enum=Gzip;None
type SinkCompression string

const (
	// SinkGzip is gzip (RFC 1952).
	SinkGzip SinkCompression = "Gzip"
	// SinkUncompressed leaves requests as they are.
	SinkUncompressed SinkCompression = "None"
)

// OTLPSink is a receiver of OTLP 1.x. What it says of retries is followed: those answers
// that the specification calls retryable are tried again with growing pauses, or the
// pause that the receiver asks for, until there is no room in the queue for newer items;
// others are dropped and counted.
//
// +kubebuilder:validation:XValidation:message="tls goes with an https:// address, or one of HOST:PORT",rule="!has(self.tls) || !self.address.startsWith('http://')"
// +kubebuilder:validation:XValidation:message="an address with a path needs protocol HTTP",rule="(has(self.protocol) && self.protocol == 'HTTP') || !self.address.matches('^https?://[^/]*/.+')"
type OTLPSink struct {
	// Address is `HOST:PORT`, or a URL: `http://HOST:PORT` in clear text,
	// `https://HOST:PORT` over TLS. With `HOST:PORT` there is TLS if tls is given. With
	// protocol HTTP a URL may have a path, to which `/v1/traces`, `/v1/metrics` and
	// `/v1/logs` are appended.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=2048
	Address string `json:"address"`

	// Protocol is `GRPC`, or `HTTP` for protobuf over HTTP. Default: `GRPC`.
	// +optional
	Protocol *OTLPProtocol `json:"protocol,omitempty"`

	// Signals that the receiver takes. What a policy sends here beyond them is left
	// out, and told in the policy's status. Default: all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Signals []TelemetrySignal `json:"signals,omitempty"`

	// Headers are sent with each request, for example those by which the receiver
	// knows who sends.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []SinkHeader `json:"headers,omitempty"`

	// TLS is how the receiver is verified. Default, with an https:// address: by the
	// system's certificates.
	// +optional
	TLS *SinkTLS `json:"tls,omitempty"`

	// Compression of requests. Default: `Gzip`.
	// +optional
	Compression *SinkCompression `json:"compression,omitempty"`

	// Timeout of one request, `100ms` to `2m`. Default: `10s`.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// BatchDelay is how long spans and log records wait for others to be sent
	// together with, `10ms` to `1m`. A full batch does not wait. Default: `1s`.
	// +optional
	BatchDelay *gatewayv1.Duration `json:"batchDelay,omitempty"`

	// MetricsInterval is how often metrics are sent, `1s` to `1h`. Default: `30s`.
	// +optional
	MetricsInterval *gatewayv1.Duration `json:"metricsInterval,omitempty"`
}

// SinkHeader is a header of requests to a sink.
//
// +kubebuilder:validation:XValidation:message="exactly one of value and valueSecretRef must be given",rule="has(self.value) != has(self.valueSecretRef)"
type SinkHeader struct {
	// Name of the header.
	// +required
	Name gatewayv1.HTTPHeaderName `json:"name"`

	// Value as it is. What is secret belongs into a Secret.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Value *string `json:"value,omitempty"`

	// ValueSecretRef is the entry of a Secret in this namespace that has the value.
	// +optional
	ValueSecretRef *SecretKeyReference `json:"valueSecretRef,omitempty"`
}

// SinkTLS is how connections are encrypted: TLS 1.2 or later.
type SinkTLS struct {
	// ServerName is the name in the certificate of the sink. Default: the host of the
	// address.
	// +optional
	ServerName *gatewayv1.PreciseHostname `json:"serverName,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in this namespace whose key
	// `ca.crt` holds the certificates that the one of the sink is verified with.
	// Default: the system's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// ClientCertificateRef names a Secret of type kubernetes.io/tls in this namespace,
	// whose certificate is presented to the sink. Default: none.
	// +optional
	ClientCertificateRef *gatewayv1.LocalObjectReference `json:"clientCertificateRef,omitempty"`
}

// DogStatsDSink is an agent that takes metrics as datagrams.
type DogStatsDSink struct {
	// Address is `HOST:PORT` for UDP, or `unix:PATH` for a datagram socket.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=260
	Address string `json:"address"`

	// Prefix of the names of all metrics, in front of `gridway`. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_.]*$`
	Prefix *string `json:"prefix,omitempty"`

	// Tags of all metrics, `NAME:VALUE` or `NAME`.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=200
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z][^,|#\s]*$`
	Tags []string `json:"tags,omitempty"`

	// Interval at which metrics are sent, `1s` to `1h`. Default: `10s`.
	// +optional
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
}

// FileSink is a file that grows by lines, and that is rotated: the file is renamed to
// its name with the time in UTC appended, and a new one is begun. A file that was
// renamed by somebody else is begun anew at SIGHUP.
type FileSink struct {
	// Path of the file, absolute. Its folder must exist; the file can be read by its
	// owner and group only.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[^\x00]*[^/\x00]$`
	Path string `json:"path"`

	// MaxBytes is the size at which the file is rotated: 64 KiB to 1 TiB, in bytes.
	// Default: 104857600, which is 100 MiB.
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=1099511627776
	MaxBytes *int64 `json:"maxBytes,omitempty"`

	// MaxFiles is how many rotated files are kept, 0 to 1000, the newest. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	MaxFiles *int32 `json:"maxFiles,omitempty"`

	// MaxAge is the age at which the file is rotated, whatever its size, from `1m` to
	// `8760h`. Default: none.
	// +optional
	MaxAge *gatewayv1.Duration `json:"maxAge,omitempty"`

	// Compress has rotated files compressed with gzip. Default: false.
	// +optional
	Compress *bool `json:"compress,omitempty"`
}

// StandardOutputSink has nothing to choose: write `{}`.
type StandardOutputSink struct{}

// SinkQueue bounds what waits for a sink in each proxy, for each signal.
type SinkQueue struct {
	// MaxItems is the number of spans or log records, 1 to 1000000. Default: 16384.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxItems *int32 `json:"maxItems,omitempty"`

	// MaxBytes is the size of them as they are sent, without compression: 64 KiB to
	// 1 GiB, in bytes. Default: 16777216, which is 16 MiB.
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=1073741824
	MaxBytes *int64 `json:"maxBytes,omitempty"`
}

// TelemetrySinkStatus is what Gridway found out about a TelemetrySink.
type TelemetrySinkStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it names
	// exists).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
