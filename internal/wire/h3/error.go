package h3

import "fmt"

// Code is an error code of RFC 9114 §8.1 or RFC 9204 §8.3.
type Code uint64

const (
	NoError              Code = 0x100
	GeneralProtocolError Code = 0x101
	InternalError        Code = 0x102
	StreamCreationError  Code = 0x103
	ClosedCriticalStream Code = 0x104
	FrameUnexpected      Code = 0x105
	FrameError           Code = 0x106
	ExcessiveLoad        Code = 0x107
	IDError              Code = 0x108
	SettingsError        Code = 0x109
	MissingSettings      Code = 0x10a
	RequestRejected      Code = 0x10b
	RequestCancelled     Code = 0x10c
	RequestIncomplete    Code = 0x10d
	MessageError         Code = 0x10e
	ConnectError         Code = 0x10f
	VersionFallback      Code = 0x110
	DecompressionFailed  Code = 0x200
	EncoderStreamError   Code = 0x201
	DecoderStreamError   Code = 0x202
)

var codeNames = map[Code]string{
	NoError: "H3_NO_ERROR", GeneralProtocolError: "H3_GENERAL_PROTOCOL_ERROR", InternalError: "H3_INTERNAL_ERROR",
	StreamCreationError: "H3_STREAM_CREATION_ERROR", ClosedCriticalStream: "H3_CLOSED_CRITICAL_STREAM",
	FrameUnexpected: "H3_FRAME_UNEXPECTED", FrameError: "H3_FRAME_ERROR", ExcessiveLoad: "H3_EXCESSIVE_LOAD",
	IDError: "H3_ID_ERROR", SettingsError: "H3_SETTINGS_ERROR", MissingSettings: "H3_MISSING_SETTINGS",
	RequestRejected: "H3_REQUEST_REJECTED", RequestCancelled: "H3_REQUEST_CANCELLED",
	RequestIncomplete: "H3_REQUEST_INCOMPLETE", MessageError: "H3_MESSAGE_ERROR", ConnectError: "H3_CONNECT_ERROR",
	VersionFallback: "H3_VERSION_FALLBACK", DecompressionFailed: "QPACK_DECOMPRESSION_FAILED",
	EncoderStreamError: "QPACK_ENCODER_STREAM_ERROR", DecoderStreamError: "QPACK_DECODER_STREAM_ERROR",
}

// String is the code's name in its RFC.
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("0x%x", uint64(c))
}

// Error is what is wrong with what the peer has sent.
type Error struct {
	Code Code
	// Status is the reply for a request that the protocol allows and HTTP does
	// not: 400, 417 or 431. It is 0 for all others.
	Status int
	// Conn: the connection ends, not only the stream.
	Conn bool
	// Reason is stable and short, for logs and metrics. Message is for people; it
	// repeats nothing of what was received.
	Reason, Message string
}

// Error implements error.
func (e *Error) Error() string { return "h3: " + e.Reason + ": " + e.Message }

func ofConn(c Code, reason, message string) *Error { return &Error{c, 0, true, reason, message} }

func ofMessage(reason, message string) *Error { return &Error{MessageError, 0, false, reason, message} }

func refused(status int, reason, message string) *Error {
	return &Error{MessageError, status, false, reason, message}
}

// Frames and streams, RFC 9114 §6, §7.
var (
	errFrameSize       = ofConn(FrameError, "InvalidFrameSize", "a frame has a length that its type cannot have, or ends before it is complete")
	errUnexpected      = ofConn(FrameUnexpected, "UnexpectedFrame", "a frame is on a stream, or at a place, where it cannot be")
	errMissingSettings = ofConn(MissingSettings, "MissingSettings", "the control stream does not begin with SETTINGS")
	errSettings        = ofConn(SettingsError, "InvalidSetting", "a setting is repeated, or has a value or number that it cannot have")
	errID              = ofConn(IDError, "InvalidID", "a number of a stream or push is not one that can be meant")
	errStreamType      = ofConn(StreamCreationError, "InvalidStreamType", "a stream has a type that its sender cannot open, or not once more")
	errClosedControl   = ofConn(ClosedCriticalStream, "ClosedControlStream", "the peer has closed a stream that must stay open")
	errEncoderStream   = ofConn(EncoderStreamError, "InvalidEncoderStream", "an instruction concerns a dynamic table, which was not allowed")
	errDecoderStream   = ofConn(DecoderStreamError, "InvalidDecoderStream", "an instruction concerns a dynamic table, which is not used")
	errCompression     = ofConn(DecompressionFailed, "InvalidFieldSection", "a field section cannot be decoded")
	errFlood           = ofConn(ExcessiveLoad, "FrameFlood", "there are too many frames that carry nothing")
	errIncomplete      = &Error{RequestIncomplete, 0, false, "IncompleteRequest", "a stream ends before its message is complete"}
)

// Messages, RFC 9114 §4.
var (
	errFieldName         = ofMessage("InvalidFieldName", "a field name is not a token in lower case")
	errFieldValue        = ofMessage("InvalidFieldValue", "a field value has a control character, or white space at an end")
	errPseudo            = ofMessage("InvalidPseudoHeader", "a pseudo-header field is unknown, repeated, missing, or not at its place")
	errConnectionField   = ofMessage("ConnectionField", "a field concerns the connection, which HTTP/3 does not allow")
	errContentLength     = ofMessage("InvalidContentLength", "Content-Length is not one number")
	errLengthMismatch    = ofMessage("ContentLengthMismatch", "the content is not as long as Content-Length says")
	errStatusCode        = ofMessage("InvalidStatus", "the status is not a number of three digits that HTTP/3 has")
	errMethod            = ofMessage("InvalidMethod", "the method is not a token")
	errTrailer           = ofMessage("InvalidTrailer", "a trailer section has fields that it cannot have")
	errHost              = refused(400, "InvalidHost", "the host is not valid, missing, or not the same in all places")
	errScheme            = refused(400, "UnsupportedScheme", "the scheme is not http or https")
	errPath              = refused(400, "InvalidPath", "the path has a character or escape that is not allowed, or leaves the root")
	errConnectTarget     = refused(400, "InvalidConnectTarget", "CONNECT needs HOST:PORT as its authority")
	errUnexpectedContent = refused(400, "UnexpectedContent", "this method's requests have no content")
	errExpectation       = refused(417, "UnknownExpectation", "only 100-continue can be expected")
	errHeaderTooLarge    = refused(431, "HeaderTooLarge", "the head is larger than the limit")
	errTooManyFields     = refused(431, "TooManyFields", "there are more fields than the limit")
	errTooManyInterim    = &Error{ExcessiveLoad, 0, false, "TooManyInterim", "there are more interim responses than the limit"}
)
