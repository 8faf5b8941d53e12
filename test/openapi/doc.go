// Package openapi holds the admin API to its own OpenAPI document, with a validator
// that others wrote: the document is one of OpenAPI 3.1, every path and method of it
// is asked, and each request and answer is what the document says. It is a module of
// its own so that nothing of the validator is linked into Gridway. The tests own
// every process they start.
package openapi
