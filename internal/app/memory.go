package app

import (
	"os"
	stdruntime "runtime"
	"runtime/debug"
)

// A configuration that takes this much memory is worth giving some back.
const largeHeap = 32 << 20

// trimMemory gives back what loading a large configuration took, and from then
// on lets the heap grow by half before it is collected rather than double:
// requests allocate next to nothing, so there is little to be gained by room.
// Whoever has set GOGC is not overruled.
func trimMemory() {
	var m stdruntime.MemStats
	stdruntime.ReadMemStats(&m)
	if m.HeapAlloc < largeHeap {
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	debug.FreeOSMemory()
}
