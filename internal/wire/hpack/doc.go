// Package hpack is header compression for HTTP/2 (RFC 7541) without I/O. The
// decoder hands out one field after another, copied into the message's arena,
// with its well-known name resolved and its syntax checked: what the dynamic
// table holds is looked up and checked once, when it enters. Nothing allocates
// per block in steady state, and memory is bounded by the table's size and the
// header list's limit, whatever a peer sends. It owns no goroutines and imports
// httpmsg, syntax and the standard library only; package h2 imports it.
package hpack
