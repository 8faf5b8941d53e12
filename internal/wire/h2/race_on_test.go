//go:build race

package h2_test

// raceEnabled: sync.Pool forgets at random then, and buffers are allocated.
const raceEnabled = true
