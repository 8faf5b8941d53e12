// Package ratelimit runs the gridway binary against the rate limit service that
// Envoy's users run, with a Redis of its own: what its answers mean for requests.
//
// It is a module of its own so that nothing of the service is among Gridway's
// dependencies.
package ratelimit
