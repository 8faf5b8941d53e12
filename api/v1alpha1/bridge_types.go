package v1alpha1

// BridgeProtocol is a protocol that clients may speak instead of gRPC.
//
// +kubebuilder:validation:Enum=GRPCWeb;Connect
type BridgeProtocol string

const (
	// BridgeGRPCWeb is gRPC-Web, binary and in base64.
	BridgeGRPCWeb BridgeProtocol = "GRPCWeb"
	// BridgeConnect is the Connect protocol, unary calls and streams.
	BridgeConnect BridgeProtocol = "Connect"
)

// Bridge translates requests of other protocols to gRPC, and its answers back.
// Requests that are of none of them pass as they are. The endpoints must speak
// HTTP/2: a Backend with protocol h2c or h2, or a GRPCRoute's.
type Bridge struct {
	// Protocols are what is translated: `GRPCWeb` and `Connect`. An empty list is
	// none. Default: both.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	Protocols []BridgeProtocol `json:"protocols,omitempty"`
	// MaxMessageBytes bounds, in bytes, the messages that have to be held: the
	// answer to a unary call of Connect, and its request if that has no
	// Content-Length. A call with a longer one ends with resource_exhausted. All
	// others stream. Default: 4194304.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=67108864
	MaxMessageBytes *int64 `json:"maxMessageBytes,omitempty"`
}
