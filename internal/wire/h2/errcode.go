package h2

// ErrCode is an error code of RST_STREAM and GOAWAY (RFC 9113 §7).
type ErrCode uint32

const (
	NoError            ErrCode = 0x0
	ProtocolError      ErrCode = 0x1
	InternalError      ErrCode = 0x2
	FlowControlError   ErrCode = 0x3
	SettingsTimeout    ErrCode = 0x4
	StreamClosed       ErrCode = 0x5
	FrameSizeError     ErrCode = 0x6
	RefusedStream      ErrCode = 0x7
	Cancel             ErrCode = 0x8
	CompressionError   ErrCode = 0x9
	ConnectError       ErrCode = 0xa
	EnhanceYourCalm    ErrCode = 0xb
	InadequateSecurity ErrCode = 0xc
	HTTP11Required     ErrCode = 0xd
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String returns the code's name in the RFC, and "UNKNOWN" for one that has none.
func (c ErrCode) String() string {
	if uint(c) < uint(len(codeNames)) {
		return codeNames[c]
	}
	return "UNKNOWN"
}

// Error is a violation of the protocol or of a limit.
type Error struct {
	// Code is what the peer is told.
	Code ErrCode
	// Status is the reply for a request that the protocol allows and HTTP does
	// not: 400, 417 or 431. It is 0 for all others.
	Status int
	// Reason is stable and short ("RapidReset"), for logs and metrics.
	Reason string
	// Message is for people. It repeats nothing of what was received.
	Message string
}

// Error implements error.
func (e *Error) Error() string { return "h2: " + e.Reason + ": " + e.Message }

// Frames, RFC 9113 §4, §6.
var (
	errPreface          = &Error{ProtocolError, 0, "InvalidPreface", "the connection does not start with the client's preface"}
	errFirstFrame       = &Error{ProtocolError, 0, "MissingSettings", "the first frame is not SETTINGS"}
	errFrameSize        = &Error{FrameSizeError, 0, "InvalidFrameSize", "a frame is longer than allowed, or has a length that its type cannot have"}
	errPadding          = &Error{ProtocolError, 0, "InvalidPadding", "padding is longer than its frame"}
	errNoStream         = &Error{ProtocolError, 0, "MissingStreamID", "a frame of a stream is on stream 0"}
	errNotOnStream      = &Error{ProtocolError, 0, "UnexpectedStreamID", "a frame of the connection is on a stream"}
	errIdleStream       = &Error{ProtocolError, 0, "IdleStream", "a frame is on a stream that was not opened"}
	errStreamID         = &Error{ProtocolError, 0, "InvalidStreamID", "a stream's number is not the peer's to open, or not higher than those before"}
	errClosedStream     = &Error{StreamClosed, 0, "ClosedStream", "a frame is on a stream that has ended"}
	errSelfDependency   = &Error{ProtocolError, 0, "SelfDependency", "a stream depends on itself"}
	errContinuation     = &Error{ProtocolError, 0, "InterruptedHeaders", "a header block is interrupted by another frame"}
	errLoneContinuation = &Error{ProtocolError, 0, "LoneContinuation", "CONTINUATION without HEADERS"}
	errPush             = &Error{ProtocolError, 0, "UnexpectedPush", "server push was not allowed"}
	errSetting          = &Error{ProtocolError, 0, "InvalidSetting", "a setting has a value that is not allowed"}
	errWindowSetting    = &Error{FlowControlError, 0, "InvalidWindowSetting", "the initial window is too large, or makes a window too large"}
	errWindowZero       = &Error{ProtocolError, 0, "ZeroWindowUpdate", "a window is opened by nothing"}
	errWindowOverflow   = &Error{FlowControlError, 0, "WindowOverflow", "a window is opened beyond its maximum"}
	errWindowExceeded   = &Error{FlowControlError, 0, "WindowExceeded", "more data came than the window allowed"}
	errPriorityUpdate   = &Error{ProtocolError, 0, "UnexpectedPriorityUpdate", "PRIORITY_UPDATE is not for servers to send, or has a value that cannot be read"}
	errCompression      = &Error{CompressionError, 0, "InvalidHeaderBlock", "a header block cannot be decoded"}
	errUnaskedAck       = &Error{ProtocolError, 0, "UnexpectedSettingsAck", "SETTINGS were acknowledged that were not sent"}
)

// Messages, RFC 9113 §8.
var (
	errFieldName         = &Error{ProtocolError, 0, "InvalidFieldName", "a field name is not a token in lower case"}
	errFieldValue        = &Error{ProtocolError, 0, "InvalidFieldValue", "a field value has a control character, or white space at an end"}
	errPseudo            = &Error{ProtocolError, 0, "InvalidPseudoHeader", "a pseudo-header field is unknown, repeated, missing, or not at its place"}
	errConnectionField   = &Error{ProtocolError, 0, "ConnectionField", "a field concerns the connection, which HTTP/2 does not allow"}
	errContentLength     = &Error{ProtocolError, 0, "InvalidContentLength", "Content-Length is not one number"}
	errLengthMismatch    = &Error{ProtocolError, 0, "ContentLengthMismatch", "the content is not as long as Content-Length says"}
	errStatusCode        = &Error{ProtocolError, 0, "InvalidStatus", "the status is not a number of three digits that HTTP/2 has"}
	errMethod            = &Error{ProtocolError, 0, "InvalidMethod", "the method is not a token"}
	errTrailer           = &Error{ProtocolError, 0, "InvalidTrailer", "a trailer section does not end its stream, or has fields that it cannot have"}
	errDataFirst         = &Error{ProtocolError, 0, "DataBeforeHeaders", "content comes before the head of its message"}
	errHost              = &Error{ProtocolError, 400, "InvalidHost", "the host is not valid, missing, or not the same in all places"}
	errScheme            = &Error{ProtocolError, 400, "UnsupportedScheme", "the scheme is not http or https"}
	errPath              = &Error{ProtocolError, 400, "InvalidPath", "the path has a character or escape that is not allowed, or leaves the root"}
	errConnectTarget     = &Error{ProtocolError, 400, "InvalidConnectTarget", "CONNECT needs HOST:PORT as its authority"}
	errExpectation       = &Error{ProtocolError, 417, "UnknownExpectation", "only 100-continue can be expected"}
	errHeaderTooLarge    = &Error{EnhanceYourCalm, 431, "HeaderTooLarge", "the head is larger than the limit"}
	errTooManyFields     = &Error{EnhanceYourCalm, 431, "TooManyFields", "there are more fields than the limit"}
	errTooManyInterim    = &Error{EnhanceYourCalm, 0, "TooManyInterim", "there are more interim responses than the limit"}
	errUnexpectedContent = &Error{ProtocolError, 400, "UnexpectedContent", "this method's requests have no content"}
)

// PingTimeout is the Error.Reason of a peer that does not answer.
const PingTimeout = "PingTimeout"

// Guards.
var (
	errRapidReset    = &Error{EnhanceYourCalm, 0, "RapidReset", "too many streams are reset"}
	errFlood         = &Error{EnhanceYourCalm, 0, "ControlFlood", "there are too many frames that carry nothing"}
	errBlockTooLarge = &Error{EnhanceYourCalm, 0, "HeaderBlockTooLarge", "a header block is larger than the limit, or in too many pieces"}
	errBomb          = &Error{EnhanceYourCalm, 0, "HeaderBomb", "a header block stands for far more than the limit"}
	errOutputFlood   = &Error{EnhanceYourCalm, 0, "UnreadReplies", "the peer makes replies necessary and does not read them"}
	errTooMany       = &Error{RefusedStream, 0, "TooManyStreams", "there are more streams than the limit"}
	errStalled       = &Error{Cancel, 0, "WindowStalled", "the peer has not opened the stream's window for too long"}
	errAckTimeout    = &Error{SettingsTimeout, 0, "SettingsTimeout", "SETTINGS were not acknowledged in time"}
	errPingTimeout   = &Error{NoError, 0, PingTimeout, "a PING was not answered in time"}
	errBlockTimeout  = &Error{EnhanceYourCalm, 0, "HeaderTimeout", "a header block was not completed in time"}
)
