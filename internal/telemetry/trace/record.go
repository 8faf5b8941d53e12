package trace

import (
	"time"
)

// Record is what a proxy remembers of an exchange or a stream: the span of it, its
// tries, what policies have decided, and the rule that matched. It is how records look
// to those who ask; in rings they are bytes (see Recorder).
type Record struct {
	// Proxy is who has made the record; whoever collects records fills it in.
	Proxy string `json:"proxy,omitempty"`
	// TraceID is 32 and SpanID and ParentID are 16 lower-case hexadecimal digits;
	// ParentID is empty where the trace began here.
	TraceID  string `json:"traceID"`
	SpanID   string `json:"spanID"`
	ParentID string `json:"parentID,omitempty"`
	// Sampled is what the head decided; Slow, Failed and Denied are why a record is
	// kept all the same.
	Sampled bool `json:"sampled,omitempty"`
	Slow    bool `json:"slow,omitempty"`
	Failed  bool `json:"failed,omitempty"`
	Denied  bool `json:"denied,omitempty"`
	// Stream says that it was not HTTP.
	Stream bool `json:"stream,omitempty"`
	Side   Side `json:"side"`
	// Purpose is what for the proxy has sent a request of its own, "mirror" or "keys":
	// Endpoint is who got it, and Reason why there was no answer. It is empty for what
	// clients have sent.
	Purpose string `json:"purpose,omitempty"`
	// Start is when the request's head was complete, and Duration, in nanoseconds,
	// until the response had ended.
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"`

	RequestID   string `json:"requestID,omitempty"`
	Method      string `json:"method,omitempty"`
	Scheme      string `json:"scheme,omitempty"`
	Host        string `json:"host,omitempty"`
	Path        string `json:"path,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Status      int    `json:"status,omitempty"`
	GRPCService string `json:"grpcService,omitempty"`
	GRPCMethod  string `json:"grpcMethod,omitempty"`
	GRPCStatus  string `json:"grpcStatus,omitempty"`
	// Flags are reasons, with commas between them; Reason is that of a reply that the
	// proxy has made itself, and Detail what the client was told with it.
	Flags  string `json:"flags,omitempty"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`

	Listener string `json:"listener,omitempty"`
	// Of is what the listener's section stands for: "Gateway/NS/NAME", "Service/NS/NAME".
	Of   string `json:"of,omitempty"`
	Rule string `json:"rule,omitempty"`
	// Place is where the rule is written.
	Place            *Place `json:"place,omitempty"`
	Route            string `json:"route,omitempty"`
	Cluster          string `json:"cluster,omitempty"`
	Endpoint         string `json:"endpoint,omitempty"`
	EndpointIdentity string `json:"endpointIdentity,omitempty"`
	PeerIdentity     string `json:"peerIdentity,omitempty"`
	Client           string `json:"client,omitempty"`
	Consumer         string `json:"consumer,omitempty"`
	AuthMethod       string `json:"authMethod,omitempty"`
	Subject          string `json:"subject,omitempty"`
	UserAgent        string `json:"userAgent,omitempty"`
	ServerName       string `json:"serverName,omitempty"`
	Destination      string `json:"destination,omitempty"`
	RequestBytes     int64  `json:"requestBytes"`
	ResponseBytes    int64  `json:"responseBytes"`
	Revision         uint64 `json:"revision,omitempty"`

	Tries     []Try      `json:"tries,omitempty"`
	Decisions []Decision `json:"decisions,omitempty"`
	// Questions are those that servers were asked about it.
	Questions []Question `json:"questions,omitempty"`
}

// Notable tells whether somebody may want to see the record later on.
func (r *Record) Notable() bool { return r.Sampled || r.Slow || r.Failed || r.Denied }

// Side is which side of a service a proxy stands on.
type Side uint8

const (
	// Edge is a listener of a Gateway.
	Edge Side = iota
	// Outbound is beside a workload that asks, Inbound beside one that is asked.
	Outbound
	Inbound
	sideCount
)

var sideNames = [sideCount]string{"edge", "outbound", "inbound"}

func (s Side) String() string {
	if s < sideCount {
		return sideNames[s]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A side that newer proxies know is
// taken for an edge.
func (s *Side) UnmarshalText(text []byte) error {
	*s = Edge
	for i, name := range sideNames {
		if name == string(text) {
			*s = Side(i)
		}
	}
	return nil
}

// Try is one attempt to have an exchange answered by an endpoint. Times are since the
// record's start, in nanoseconds.
type Try struct {
	// Number counts from 1; SpanID follows from it and the record's span.
	Number int     `json:"number"`
	SpanID string  `json:"spanID,omitempty"`
	Kind   TryKind `json:"kind"`
	// Endpoint is an address.
	Endpoint string        `json:"endpoint,omitempty"`
	Start    time.Duration `json:"start"`
	// Connected is when there was a connection, with its TLS; 0 where one that was there
	// was used. Head is when the response's head had come; 0 where it did not.
	Connected time.Duration `json:"connected,omitempty"`
	Head      time.Duration `json:"head,omitempty"`
	End       time.Duration `json:"end"`
	// Status is the answer's, 0 if there was none; Reason is why there was none.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	// GRPCStatus is that of a call's answer ("UNAVAILABLE").
	GRPCStatus string `json:"grpcStatus,omitempty"`
}

// TryKind says why a try was made.
type TryKind uint8

const (
	First TryKind = iota
	// Retry comes after one that was not good enough, Hedge beside one that takes long.
	Retry
	Hedge
	tryKinds
)

var tryNames = [tryKinds]string{"first", "retry", "hedge"}

func (k TryKind) String() string {
	if k < tryKinds {
		return tryNames[k]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (k TryKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A kind that newer proxies know is
// taken for a retry.
func (k *TryKind) UnmarshalText(text []byte) error {
	*k = Retry
	for i, name := range tryNames {
		if name == string(text) {
			*k = TryKind(i)
		}
	}
	return nil
}

// Decision is what a policy has made of an exchange.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	// Kind is the policy's kind, empty if it is not known, and Policy "namespace/name".
	Kind   string `json:"kind,omitempty"`
	Policy string `json:"policy"`
	// Rule is the part of the policy that decided; empty is the policy as a whole.
	Rule string `json:"rule,omitempty"`
	// Place is where that is written.
	Place *Place `json:"place,omitempty"`
}

// Verdict is what a policy decides.
type Verdict uint8

const (
	Allowed Verdict = iota
	Denied
	// Limited: a rate limit has refused it.
	Limited
	// Audited: a rule that only records has matched. WouldDeny: a dry policy would have
	// refused it. FailedOpen: what the policy needs is not there, and by choice that lets
	// requests through.
	Audited
	WouldDeny
	FailedOpen
	verdicts
)

var verdictNames = [verdicts]string{"allowed", "denied", "limited", "audited", "would deny", "failed open"}

func (v Verdict) String() string {
	if v < verdicts {
		return verdictNames[v]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What newer proxies decide is
// "unknown" here.
func (v *Verdict) UnmarshalText(text []byte) error {
	*v = verdicts
	for i, name := range verdictNames {
		if name == string(text) {
			*v = Verdict(i)
		}
	}
	return nil
}

// Place is where something is written: a file, a line and a column, of which the last
// two count from 1.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}
