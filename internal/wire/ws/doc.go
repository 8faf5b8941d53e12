// Package ws knows as much of WebSocket (RFC 6455) as a proxy needs: the opening
// handshake's key, where frames begin and end in a stream of bytes, and how a
// Close frame is written. It looks at the headers of frames only and copies and
// unmasks nothing. It owns no goroutines and imports the standard library only.
package ws
