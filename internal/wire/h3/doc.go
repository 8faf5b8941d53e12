// Package h3 is HTTP/3 (RFC 9114) without I/O: frames, field sections in QPACK
// (RFC 9204), and what a request or response must be like, either side. It reads
// from any io.Reader and writes to byte slices; streams and connections are its
// callers'. QPACK has no dynamic table here, in neither direction: a section
// never waits for another stream, and no peer's table takes memory. It owns no
// goroutines. The drivers of proxy import it.
package h3
