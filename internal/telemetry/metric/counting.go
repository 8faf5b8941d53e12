//go:build !uncounted

package metric

// Counting tells whether this build counts at all. One with the tag uncounted does not:
// bench compares with it what counting costs.
const Counting = true
