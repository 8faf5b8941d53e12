// Package acme runs the gridway binary against pebble, the ACME server that
// Let's Encrypt gives for tests: certificates for listeners by HTTP-01 and
// TLS-ALPN-01, renewed, shared by edges, and kept when the authority fails.
//
// It is a module of its own so that nothing of pebble is among Gridway's
// dependencies.
package acme
