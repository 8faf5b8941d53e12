package collect

import "strconv"

// Bounds of what a control plane keeps. A row is of about 1 KiB at most.
const (
	// MaxOfDay is how many kinds of traffic there are in a day, for each control plane, and
	// MaxOfService how many of these go to one service: whose proxy tells of too much takes
	// nothing from others.
	MaxOfDay     = 50_000
	MaxOfService = MaxOfDay / 4
	// MaxOfPair is how many of these one source has with one port of a service. What is
	// beyond counts as few kinds, with Overflow.
	MaxOfPair = 256
	// MaxOverflow is how many kinds with Overflow there are for one service in a day: what is
	// beyond has no policy, then no source, and at last no port.
	MaxOverflow = 1024
	// maxSum is as much as a number may become, so that sums of any two are numbers: what
	// proxies count is not believed without end.
	maxSum = 1 << 61
)

// day has the kinds of traffic of one, so that they are bounded.
type day struct {
	keys map[string]bool
	// told and folded are how many kinds there are of each service, the latter with Overflow.
	told, folded map[string]int
	pairs        map[string]int
}

func newDay() *day {
	return &day{keys: map[string]bool{}, told: map[string]int{}, folded: map[string]int{}, pairs: map[string]int{}}
}

// bounded is the kind, or one that stands for many.
func (d *day) bounded(namespace, service string, k kind) kind {
	to := namespace + "/" + service
	if !k.Overflow {
		_, key := k.encode(namespace, service)
		if d.keys[key] {
			return k
		}
		if pair := k.pair(namespace, service); len(d.keys) < MaxOfDay && d.told[to] < MaxOfService && d.pairs[pair] < MaxOfPair {
			d.keys[key] = true
			d.told[to]++
			d.pairs[pair]++
			return k
		}
	}
	k.Method, k.Path, k.Overflow = "", "", true
	for _, coarser := range []func(){func() {}, func() { k.Policy = "" }, func() { k.Source = "" }} {
		coarser()
		_, key := k.encode(namespace, service)
		if d.keys[key] {
			return k
		}
		if len(d.keys) < MaxOfDay && d.folded[to] < MaxOverflow {
			d.keys[key] = true
			d.folded[to]++
			return k
		}
	}
	k.Port = 0 // of which there are as many as services, protocols and verdicts
	return k
}

func (k kind) pair(namespace, service string) string {
	return k.Source + " " + namespace + "/" + service + ":" + strconv.Itoa(int(k.Port))
}

// sum is that of two numbers, as far as numbers go.
func sum(a, b int64) int64 { return min(a+b, maxSum) }
