//go:build uncounted

package metric

// Counting tells whether this build counts at all.
const Counting = false
