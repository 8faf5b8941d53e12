// Package soak keeps a gateway under load for minutes while its configuration
// changes, endpoints die and come back, and clients are slow, and then looks
// for requests that failed and for what leaked. It runs only when SOAK says for
// how long: `SOAK=10m go test -run TestSoak ./test/soak`, or `make soak`.
// Nothing imports it.
package soak
