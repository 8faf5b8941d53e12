// Package httpmsg is the form in which HTTP messages travel through a proxy,
// whatever protocol brought them. Its values are slices into connection
// buffers: they are valid while their exchange lives and no longer. It owns no
// goroutines, imports the standard library only, and may be imported by the
// codecs, the filters and the pipeline.
package httpmsg

// BodyKind says how a message's body is delimited.
type BodyKind uint8

const (
	// BodyNone: there is no body.
	BodyNone BodyKind = iota
	// BodyLength: Length bytes follow.
	BodyLength
	// BodyChunked: the end is marked in the stream (chunked coding, HTTP/2 END_STREAM).
	BodyChunked
	// BodyUntilClose: a response that ends with its connection.
	BodyUntilClose
)

// Version of HTTP as one number: 10, 11, 20, 30.
type Version uint8

const (
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
	HTTP3  Version = 30
)

// Request is the head of a request and how its body is framed.
type Request struct {
	Method   []byte
	MethodID Method
	// Target is the request target as it was received.
	Target []byte
	// Scheme is "http" or "https".
	Scheme string
	// Host is the authority (host and optional port), lower-cased, without a
	// trailing dot on the host; from the absolute form or the Host header.
	// The Host field itself is not in Header: writers emit it from here.
	Host []byte
	// Path is normalised (see NormalizePath), always starts with '/', or is "*" for OPTIONS *.
	Path []byte
	// Query is what followed '?', without it; HasQuery tells an empty one from none.
	Query    []byte
	HasQuery bool
	Version  Version
	Header   Header
	Body     BodyKind
	// Length is the number of bytes of a BodyLength, 0 for BodyNone and -1 for BodyChunked.
	Length int64
	// KeepAlive: the client lets the connection go on after this exchange.
	KeepAlive bool
	// ExpectContinue: the client waits for 100 (Continue) before it sends the body.
	ExpectContinue bool
	// Upgrade is the protocol of an upgrade request ("websocket"), or empty.
	Upgrade []byte
	// Trailer holds the fields after a chunked body, once it was read to its end.
	Trailer Header
	// Arena keeps edited values for as long as the exchange lives.
	Arena Arena
}

// Response is the head of a response and how its body is framed.
type Response struct {
	Status  int
	Reason  []byte // as received; empty for the standard phrase
	Version Version
	Header  Header
	Body    BodyKind
	// Length is the number of bytes of a BodyLength. For BodyNone it is what
	// Content-Length announced (HEAD, 304), and -1 if that is not known.
	Length int64
	// KeepAlive: the upstream connection can be used again after this response.
	KeepAlive bool
	// Upgrade is the protocol that a 101 switched to.
	Upgrade []byte
	Trailer Header
}
