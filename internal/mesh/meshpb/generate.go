// Package meshpb is what proxies and control planes say to each other, in Protocol
// Buffers and gRPC. What lies here is generated from the .proto files, but for this
// file, and imports nothing of Gridway.
//
// The protocol is spoken between versions: fields are added, never changed or
// used anew, and who does not know one leaves it alone.
package meshpb

//go:generate go run ../../gen/proto
