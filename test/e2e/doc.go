// Package e2e proves what traffic management does, end to end: YAML as a user
// writes it is loaded, compiled and served on loopback sockets, in front of
// real servers that fail in real ways. It holds tests only, one file per
// capability; harness_test.go starts the proxy and servers_test.go the servers.
// Nothing imports it.
package e2e
