package lb

type tierHealth struct{ total, healthy int }

// shareTiers gives each priority its share of the requests. A tier's capacity
// is its healthy share times the overprovisioning factor, at most 1; the first
// takes what it can, the next what is left, and so on. When all together
// cannot take everything, what there is is scaled up, and tiers below the panic
// threshold use their unhealthy endpoints too.
func (v *View) shareTiers(health []tierHealth) {
	over := float64(v.cfg.Balance.Overprovisioning) / 100
	capacity := make([]float64, len(health))
	var sum float64
	for i, h := range health {
		capacity[i] = min(1, over*float64(h.healthy)/float64(h.total))
		sum += capacity[i]
	}
	threshold := float64(v.cfg.Balance.PanicThreshold) / 100
	if sum < 1 {
		for i, h := range health {
			share := float64(h.healthy) / float64(h.total)
			v.tiers[i].panic = share < threshold
		}
	}
	loads := capacity
	switch {
	case sum >= 1:
		left := 1.0
		for i := range loads {
			loads[i] = min(left, capacity[i])
			left -= loads[i]
		}
	case sum > 0:
		for i := range loads {
			loads[i] /= sum
		}
	case threshold > 0:
		// Nobody is healthy: all endpoints alike.
		var total int
		for _, h := range health {
			total += h.total
		}
		for i, h := range health {
			loads[i] = float64(h.total) / float64(total)
		}
	}
	var acc float64
	last := -1
	for i := range loads {
		acc += loads[i]
		v.tiers[i].load = loads[i]
		v.tiers[i].upto = min(shareOne, uint64(acc*shareOne+0.5))
		if loads[i] > 0 {
			last = i
		}
	}
	if last >= 0 {
		for i := last; i < len(v.tiers); i++ {
			v.tiers[i].upto = shareOne
		}
	}
}

// group arranges what may be picked in a tier, and splits it by zone.
func (v *View) group(t *tier, weights []uint64) {
	var idx []int32
	for _, m := range t.all {
		if t.panic || v.members[m].Node.State() == 0 {
			idx = append(idx, m)
		}
	}
	take := func(of []int32) []uint64 {
		w := make([]uint64, len(of))
		for i, m := range of {
			w[i] = weights[m]
		}
		return w
	}
	if v.cfg.Balance.ZoneAware && v.cfg.Zone != "" && !t.panic && !hashes(v.cfg.Balance.Algorithm) {
		v.splitZones(t, idx, weights)
	}
	t.usable = newWeighted(append([]int32(nil), idx...), take(idx))
}

// zoneState is the weight of a zone's endpoints, of those that are in use, and
// what the zone can take: all that it was made for while the overprovisioning
// factor makes up for what is not in use.
type zoneState struct{ all, inUse, capacity float64 }

// zoneStates sums up the zones of a tier and their capacity. A zone without
// endpoints in use still sends traffic, so it counts.
func (v *View) zoneStates(t *tier, idx []int32, weights []uint64) (zones map[string]*zoneState, total float64) {
	zones = map[string]*zoneState{v.cfg.Zone: {}}
	for _, m := range t.all {
		zone := v.members[m].Zone
		if zones[zone] == nil {
			zones[zone] = &zoneState{}
		}
		zones[zone].all += float64(weights[m])
	}
	for _, m := range idx {
		zones[v.members[m].Zone].inUse += float64(weights[m])
	}
	over := float64(v.cfg.Balance.Overprovisioning) / 100
	for _, z := range zones {
		z.capacity = min(z.all, z.inUse*over)
		total += z.capacity
	}
	return zones, total
}

// splitZones keeps traffic in the proxy's own zone while that has capacity for
// its part. Proxies are taken to be spread evenly over the zones, so each zone
// is due 1/zones of the traffic. A zone with a smaller share of the capacity
// keeps what it can serve; the rest goes to the zones that have a surplus, in
// proportion to it. Every endpoint is then used alike as long as all proxies do
// the same and all endpoints are in use.
func (v *View) splitZones(t *tier, idx []int32, weights []uint64) {
	zones, total := v.zoneStates(t, idx, weights)
	local := zones[v.cfg.Zone].capacity
	if len(zones) < 2 || total == 0 || local == 0 && len(zones) == 2 {
		return
	}
	due := 1 / float64(len(zones))
	keep := min(1, local/total/due)
	surplus := make(map[string]float64)
	var spare float64
	for zone, z := range zones {
		if zone != v.cfg.Zone && z.capacity > 0 {
			surplus[zone] = max(0, z.capacity/total-due)
			spare += surplus[zone]
		}
	}
	var here, there []int32
	var hereWeights, thereWeights []uint64
	for _, m := range idx {
		zone := v.members[m].Zone
		if zone == v.cfg.Zone {
			here, hereWeights = append(here, m), append(hereWeights, weights[m])
			continue
		}
		w := weights[m]
		if spare > 0 {
			// Scale so that zones share the spill by surplus, endpoints in a zone by weight.
			w = uint64(float64(w*zoneScale) * surplus[zone] / spare * total / zones[zone].inUse)
			if surplus[zone] > 0 {
				w = max(1, w)
			}
		}
		there, thereWeights = append(there, m), append(thereWeights, w)
	}
	t.local = newWeighted(here, hereWeights)
	t.remote = newWeighted(there, thereWeights)
	t.localShare = uint64(keep*shareOne + 0.5)
	if t.remote.total == 0 {
		t.localShare = shareOne
	}
}

const zoneScale = 1 << 12

// State of a tier for explain.
type TierState struct {
	Priority   int
	Endpoints  int
	Usable     int
	Load       float64 // share of requests, 0 to 1
	Panic      bool
	LocalShare float64 // share that stays in the proxy's zone; 1 without zone preference
}

// Tiers describes the view.
func (v *View) Tiers() []TierState {
	out := make([]TierState, len(v.tiers))
	for i := range v.tiers {
		t := &v.tiers[i]
		out[i] = TierState{
			Priority: v.members[t.all[0]].Priority, Endpoints: len(t.all),
			Usable: len(t.usable.members), Load: t.load, Panic: t.panic, LocalShare: 1,
		}
		if t.local != nil {
			out[i].LocalShare = float64(t.localShare) / shareOne
		}
	}
	return out
}
