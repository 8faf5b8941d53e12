package h2

import "github.com/gridway/gridway/internal/wire/httpmsg"

// EventKind says what has happened.
type EventKind uint8

const (
	EventNone EventKind = iota
	// EventRequest: a request's head is in Event.Request. With Refuse it must
	// be answered with that status, and not be served.
	EventRequest
	// EventResponse: a response's head is where Stream was told to decode to.
	EventResponse
	// EventInterim: as EventResponse, for 1xx.
	EventInterim
	// EventData: content is in Data. The driver must give it back by Consume.
	EventData
	// EventTrailer: the message has ended with the fields in Trailer.
	EventTrailer
	// EventReset: the stream has ended at once, by the peer (Code) or for what
	// the peer did (Err is not nil).
	EventReset
	// EventGoAway: the peer takes no more streams (Code, LastStream). What it
	// will not process is reset by events of its own.
	EventGoAway
	// EventSettings: the peer's settings are known, or have changed.
	EventSettings
	// EventPong: the answer to Ping.
	EventPong
)

// Event is what Next has found. All but Request is set by Next.
type Event struct {
	Kind   EventKind
	Stream *Stream
	// Data is part of what Next was given.
	Data []byte
	// End: the peer sends nothing more on the stream.
	End bool
	// Request is where a server's next request is decoded to. The driver sets
	// it, and replaces it after EventRequest.
	Request *httpmsg.Request
	// Refuse is why a request must not be served: see Error.Status.
	Refuse *Error
	// Trailer is valid until the next call of Next.
	Trailer *httpmsg.Header
	Code    ErrCode
	Err     *Error
	// Unprocessed: the peer has done nothing for the stream, and the request may
	// be sent again (RFC 9113 §8.7).
	Unprocessed bool
	LastStream  uint32
}

func (ev *Event) clear() { *ev = Event{Request: ev.Request} }
