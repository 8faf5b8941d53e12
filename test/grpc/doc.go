// Package grpc runs the gridway binary between the clients and servers of
// grpc-go: its interoperability cases over TLS and in clear text, a server that
// breaks HTTP/2's streams and connections off in the ways of the negative
// interoperability cases, and what Gridway itself has to say of calls, with
// errors injected.
//
// It is a module of its own so that grpc-go is not among Gridway's dependencies.
package grpc
