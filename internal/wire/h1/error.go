package h1

import "net/http"

// Error is why a message was refused. The connection that sent it cannot be
// used any more: where the next message would start is not known.
type Error struct {
	// Status is the reply for a request: 400, 414, 417, 431, 501 or 505. For a
	// response it is 502.
	Status int
	// Code is stable and short ("BareLF"), for logs and metrics.
	Code string
	// Message is for people. It repeats nothing of what was received.
	Message string
}

// Error implements error.
func (e *Error) Error() string { return "h1: " + e.Code + ": " + e.Message }

func refuse(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

// Syntax of the head, RFC 9112 §2.2, §3, §5.
var (
	errIncomplete     = refuse("Incomplete", "the head has no blank line at its end")
	errTrailingData   = refuse("TrailingData", "bytes follow the blank line")
	errBareLF         = refuse("BareLF", "a line ends with LF alone instead of CRLF")
	errBareCR         = refuse("BareCR", "a CR is not followed by LF")
	errControl        = refuse("ControlCharacter", "a field value or reason phrase has a control character")
	errMethod         = refuse("InvalidMethod", "the method is not a token")
	errRequestLine    = refuse("InvalidRequestLine", "the request line is not METHOD SP TARGET SP VERSION")
	errVersion        = refuse("InvalidVersion", "the version is not HTTP/DIGIT.DIGIT")
	errLeadingSpace   = refuse("LeadingWhitespace", "white space stands before the first field")
	errObsFold        = refuse("ObsFold", "a field continues on the next line")
	errEmptyName      = refuse("EmptyFieldName", "a field has no name")
	errSpaceInName    = refuse("SpaceInFieldName", "white space stands in a field name or before its colon")
	errName           = refuse("InvalidFieldName", "a field name is not a token")
	errMissingColon   = refuse("MissingColon", "a field line has no colon")
	errVersionMajor   = &Error{http.StatusHTTPVersionNotSupported, "UnsupportedVersion", "only HTTP/1.0 and HTTP/1.1 are spoken here"}
	errHeadTooLarge   = &Error{http.StatusRequestHeaderFieldsTooLarge, "HeaderTooLarge", "the head is larger than the limit"}
	errTooManyFields  = &Error{http.StatusRequestHeaderFieldsTooLarge, "TooManyFields", "there are more fields than the limit"}
	errTargetTooLong  = &Error{http.StatusRequestURITooLong, "TargetTooLong", "the request target is longer than the limit"}
	errExpectation    = &Error{http.StatusExpectationFailed, "UnknownExpectation", "only 100-continue can be expected"}
	errTrailerTooLong = &Error{http.StatusRequestHeaderFieldsTooLarge, "TrailerTooLarge", "the trailer section is larger than the limit"}
)

// Target and authority, RFC 9112 §3.2.
var (
	errTarget            = refuse("InvalidTarget", "the request target has a character or form that is not allowed")
	errFragment          = refuse("FragmentInTarget", "the request target has a fragment")
	errPath              = refuse("InvalidPath", "the path has a bad escape or leaves the root")
	errScheme            = refuse("UnsupportedScheme", "the request target's scheme is not http or https")
	errUserinfo          = refuse("UserinfoInTarget", "the request target has user information")
	errMissingHost       = refuse("MissingHost", "an HTTP/1.1 request needs a Host field")
	errDuplicateHost     = refuse("DuplicateHost", "there is more than one Host field")
	errHost              = refuse("InvalidHost", "the host is not valid")
	errConnectTarget     = refuse("InvalidConnectTarget", "CONNECT needs HOST:PORT as its target")
	errUnexpectedContent = refuse("UnexpectedContent", "this method's requests have no content")
)

// Framing, RFC 9112 §6.
var (
	errDuplicateLength   = refuse("DuplicateContentLength", "there is more than one Content-Length field")
	errLength            = refuse("InvalidContentLength", "Content-Length is not a row of digits")
	errLengthOverflow    = refuse("ContentLengthOverflow", "Content-Length is too large a number")
	errLengthAndCoding   = refuse("ContentLengthAndTransferEncoding", "there are both Content-Length and Transfer-Encoding")
	errDuplicateCoding   = refuse("DuplicateTransferEncoding", "there is more than one Transfer-Encoding field")
	errCodingIn10        = refuse("TransferEncodingInHTTP10", "HTTP/1.0 has no Transfer-Encoding")
	errCoding            = refuse("InvalidTransferEncoding", "Transfer-Encoding must end with chunked, once")
	errUnknownCoding     = &Error{http.StatusNotImplemented, "UnsupportedTransferEncoding", "only the chunked transfer coding is implemented"}
	errChunkSize         = refuse("InvalidChunkSize", "a chunk size is not a hexadecimal number")
	errChunkOverflow     = refuse("ChunkSizeOverflow", "a chunk size is too large a number")
	errChunkExtension    = refuse("InvalidChunkExtension", "a chunk extension is malformed")
	errExtensionTooLong  = refuse("ChunkExtensionTooLong", "chunk extensions are longer than the limit")
	errChunkEnd          = refuse("MissingChunkEnd", "chunk data is not followed by CRLF")
	errTrailerSyntax     = refuse("InvalidTrailer", "the trailer section is malformed")
	errConnection        = refuse("TooManyConnectionOptions", "Connection has more options than the limit")
	errStatusLine        = refuse("InvalidStatusLine", "the status line is not VERSION SP 3DIGIT SP REASON")
	errUpgradeUnexpected = refuse("InvalidSwitch", "101 without an Upgrade field")
)
