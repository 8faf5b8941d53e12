// Package dryrun answers what a proxy would do with a request without sending
// anything: it builds the same route table and runs the same filters as the
// request path. It owns no goroutines and opens nothing. The CLI and app
// import it.
package dryrun
