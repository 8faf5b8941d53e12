package v1alpha1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// AccessLogPolicy says what the access log has of traffic, and where it goes.
//
// Header fields and parameters that carry credentials are never logged in clear:
// Authorization, Cookie and what else is called a token, key, secret or password, and
// those by which AuthenticationPolicies know callers. `(hidden)` stands in their place.
//
// +kubebuilder:validation:XValidation:message="fields are of a log in JSON, template is of one in text: give one of them",rule="!has(self.fields) || !has(self.template)"
type AccessLogPolicy struct {
	// Enabled says whether there is an access log. Default: true, if there are sinks or
	// the process was started with one.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// Fields of a line in JSON, in their order: those of docs/reference/access-log.md, and
	// own ones from header fields. It is taken as a whole, together with template.
	// Default: all of that page.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=96
	Fields []AccessLogField `json:"fields,omitempty"`

	// Template makes lines of text. `${FIELD}` stands for a field of
	// docs/reference/access-log.md, `${request.headers.NAME}` and
	// `${response.headers.NAME}` for a header field; what there is not is `-`, and `$$` is
	// a dollar sign. Line breaks, quotation marks and control characters in what is put in
	// are escaped as in JSON. Receivers of OTLP get the line as the body.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Template *string `json:"template,omitempty"`

	// Sampling logs a share of what it names, and all of the rest, so that errors are
	// kept unless it says otherwise. It is taken as a whole. Default: all is logged.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Sampling []AccessLogSampling `json:"sampling,omitempty"`

	// Query says how much of query strings is logged: `Omit` nothing, `Names` the names of
	// parameters with their values masked, `Full` all but what looks like a credential.
	// Default: `Omit`.
	// +optional
	Query *QueryLogging `json:"query,omitempty"`

	// Redact names what is hidden besides credentials. Policies add up.
	// +optional
	Redact *AccessLogRedaction `json:"redact,omitempty"`

	// SinkRefs name the TelemetrySinks that get the log, in the place of the log that the
	// process was started with (`--access-log`). An empty list is none. Default: that log.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	SinkRefs []SinkReference `json:"sinkRefs,omitempty"`
}

// AccessLogField is a field of a line in JSON.
//
// +kubebuilder:validation:XValidation:message="requestHeader and responseHeader exclude each other",rule="!has(self.requestHeader) || !has(self.responseHeader)"
type AccessLogField struct {
	// Name of the field. With requestHeader or responseHeader it is an own one, which must
	// not have the name of another.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	Name string `json:"name"`

	// RequestHeader is the header field of the request that the field has, as the client
	// sent it.
	// +optional
	RequestHeader *gatewayv1.HTTPHeaderName `json:"requestHeader,omitempty"`

	// ResponseHeader is the header field of the response that the field has, as the client
	// got it.
	// +optional
	ResponseHeader *gatewayv1.HTTPHeaderName `json:"responseHeader,omitempty"`
}

// AccessLogSampling logs a share of the exchanges with some status.
//
// +kubebuilder:validation:XValidation:fieldPath=".rate",message="must be a whole number from 0 to 100, or a percentage with up to four decimals such as 0.05%",rule="!has(self.rate) || (type(self.rate) == int ? (self.rate >= 0 && self.rate <= 100) : self.rate.matches('^(100([.]0{1,4})?|[0-9]{1,2}([.][0-9]{1,4})?)%$'))"
type AccessLogSampling struct {
	// Statuses are classes (`2xx`) or single ones (`404`). Where several entries name a
	// status, the first counts.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[1-5]([0-9]{2}|xx)$`
	Statuses []string `json:"statuses"`

	// Rate is how many of them are logged: a whole number of percent, or with up to four
	// decimals and a percent sign, as in `0.05%`.
	// +required
	Rate intstr.IntOrString `json:"rate"`
}

// QueryLogging says how much of query strings is logged.
//
// +kubebuilder:validation:Enum=Omit;Names;Full
type QueryLogging string

const (
	// QueryOmitted logs nothing of them.
	QueryOmitted QueryLogging = "Omit"
	// QueryNamed logs the names of parameters.
	QueryNamed QueryLogging = "Names"
	// QueryWhole logs all but credentials.
	QueryWhole QueryLogging = "Full"
)

// AccessLogRedaction names what is hidden.
type AccessLogRedaction struct {
	// Headers whose values are hidden.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Headers []gatewayv1.HTTPHeaderName `json:"headers,omitempty"`

	// QueryParameters whose values are hidden, by their names, whose case counts.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	QueryParameters []string `json:"queryParameters,omitempty"`
}
