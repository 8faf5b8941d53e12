// Package e2e proves what the gateway does, end to end: YAML as a user writes
// it is served in front of real servers that fail in real ways, to real clients
// that do the same. It holds tests only, one file per capability. harness_test.go
// starts the data plane inside the test, process_test.go the built binary, and
// servers_test.go what is behind it. Nothing imports it.
package e2e
