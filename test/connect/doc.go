// Package connect runs the conformance suite of Connect, gRPC and gRPC-Web
// through the gridway binary: the suite's clients talk to a gateway, and the
// gateway to the suite's servers.
//
// The suite starts servers, or clients, as programs that are told on their
// standard input what to do. The test's own binary takes the part of such a
// program when PART is in its environment: it starts the suite's program and a
// gateway before it, and corrects addresses and certificates in what both say.
//
// It is a module of its own so that nothing of the suite is among Gridway's
// dependencies.
package connect
