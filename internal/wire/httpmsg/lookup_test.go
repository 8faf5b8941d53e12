package httpmsg

import "testing"

// TestNameTableIsPerfect: when a new name fails it, look for other multipliers
// for nameSlot. Nothing breaks before that; lookups of that name take two steps.
func TestNameTableIsPerfect(t *testing.T) {
	for id := NameOther + 1; id < nameCount; id++ {
		first, last := nameEnds([]byte(spellings[id]))
		if got := nameIndex[nameSlot(first, last, len(spellings[id]))]; got != id {
			t.Errorf("%s shares the slot of %s", id, got)
		}
	}
}
