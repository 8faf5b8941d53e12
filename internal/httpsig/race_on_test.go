//go:build race

package httpsig_test

// raceEnabled: sync.Pool forgets at random then.
const raceEnabled = true
