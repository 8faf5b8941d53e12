package vouch

// Remembers is how much the tokens that are remembered take, as they are reckoned.
func (v *Voucher) Remembers() int {
	v.tokens.mu.Lock()
	defer v.tokens.mu.Unlock()
	total := 0
	if all := v.tokens.places.Load(); all != nil {
		for i := range all {
			if k := all[i].Load(); k != nil {
				total += k.cost
			}
		}
	}
	if total != v.tokens.total {
		panic("memory: the total is not the sum")
	}
	return total
}
