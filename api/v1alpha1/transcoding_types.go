package v1alpha1

import gwv1 "sigs.k8s.io/gateway-api/apis/v1"

// Transcoding lets clients that speak JSON over HTTP call endpoints that speak
// gRPC: by the paths that google.api.http gives to methods, and by the methods'
// own, POST /package.Service/Method. Requests of gRPC itself, and of protocols
// that bridge names, pass. The endpoints must speak HTTP/2: a Backend with
// protocol h2c or h2, or a GRPCRoute's. All fields come from one policy.
type Transcoding struct {
	// DescriptorSet is where the descriptors of the services are. If it cannot be
	// used, its last good version is; if there was none, requests are answered 503.
	// +optional
	DescriptorSet *DescriptorSetRef `json:"descriptorSet,omitempty"`
	// Reflection asks the endpoints of a rule's first backend for the descriptors
	// of their services. Exactly one of descriptorSet and reflection must be given.
	// +optional
	Reflection *Reflection `json:"reflection,omitempty"`
	// Services are the full names of those that can be called. Default: all that
	// the descriptors have, but for those in package grpc.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	Services []string `json:"services,omitempty"`
	// JSON is how messages are written and read.
	// +optional
	JSON *TranscodingJSON `json:"json,omitempty"`
	// Streaming is how the answers of streams are written unless the request's
	// Accept says application/x-ndjson, text/event-stream or application/json: `Array`
	// is one array of JSON, `Lines` one line for each message. Default: Array.
	// +optional
	// +kubebuilder:validation:Enum=Array;Lines
	Streaming *string `json:"streaming,omitempty"`
	// Unannotated says whether methods can be called by their own path: `Allow` or
	// `Refuse`. Default: Allow.
	// +optional
	// +kubebuilder:validation:Enum=Allow;Refuse
	Unannotated *string `json:"unannotated,omitempty"`
	// Unmatched says what becomes of requests that are for no method: `Refuse`
	// answers 404 or 405, `Pass` sends them to the endpoints as they are. Default:
	// Refuse.
	// +optional
	// +kubebuilder:validation:Enum=Refuse;Pass
	Unmatched *string `json:"unmatched,omitempty"`
	// MaxMessageBytes bounds, in bytes, each message in JSON and in gRPC. Default:
	// 4194304.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=67108864
	MaxMessageBytes *int64 `json:"maxMessageBytes,omitempty"`
}

// Reflection is gRPC's server reflection, v1 or v1alpha. Answers that cannot be
// used replace none that could; until the first one requests are answered 503.
type Reflection struct {
	// Host is the authority that is asked for. Default: that of other requests to
	// the endpoints, or their address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host *string `json:"host,omitempty"`
	// Refresh is how long to wait before the endpoints are asked again, at least
	// 1s. Failures are tried again sooner at first. Default: 1m.
	// +optional
	Refresh *gwv1.Duration `json:"refresh,omitempty"`
}

// DescriptorSetRef names an entry of a ConfigMap in the policy's namespace that
// is a google.protobuf.FileDescriptorSet, with all imports.
type DescriptorSetRef struct {
	// Name is the ConfigMap's. It can take the entry from a file by the annotation
	// gridway.dev/files.
	Name gwv1.ObjectName `json:"name"`
	// Key is the entry's. Default: descriptors.binpb.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key *string `json:"key,omitempty"`
}

// TranscodingJSON is how messages are written and read.
type TranscodingJSON struct {
	// AlwaysPrintDefaults writes fields that have their default value, too.
	// Default: false.
	// +optional
	AlwaysPrintDefaults *bool `json:"alwaysPrintDefaults,omitempty"`
	// EnumsAsNumbers writes enums as numbers. Default: false, by their names.
	// +optional
	EnumsAsNumbers *bool `json:"enumsAsNumbers,omitempty"`
	// PreserveProtoNames writes fields by the names of the .proto file. Default:
	// false, in lowerCamelCase. Both are read.
	// +optional
	PreserveProtoNames *bool `json:"preserveProtoNames,omitempty"`
	// Unknown says what becomes of fields in bodies, and of parameters in queries,
	// that the message does not have: `Refuse` answers 400, `Ignore` passes over
	// them. Default: Refuse.
	// +optional
	// +kubebuilder:validation:Enum=Refuse;Ignore
	Unknown *string `json:"unknown,omitempty"`
}
