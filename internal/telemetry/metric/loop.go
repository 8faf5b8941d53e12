package metric

import (
	"strconv"
	"time"
)

// Loop is how busy an event loop of the proxy is.
type Loop struct {
	// Sockets are open, and Queued wait for their turn.
	Sockets int
	Queued  int
	// Busy is for how long it has worked, and Taken how often a task held it up.
	Busy  time.Duration
	Taken uint64
}

// SetLoops names the function that tells of the event loops at each scrape, in their order.
func (r *Registry) SetLoops(read func() []Loop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loops = read
}

var (
	loopSocketsFamily = define("gridway_loop_sockets", gauge, "Sockets that an event loop carries: of clients, endpoints and listeners. There is a loop for each processor.", "loop")
	loopQueuedFamily  = define("gridway_loop_queued", gauge, "Work of an event loop that waited for its turn when the loop looked last: connections that have sent something, and exchanges that can go on.", "loop")
	loopBusyFamily    = define("gridway_loop_busy_seconds_total", counter,
		"How long an event loop has worked rather than waited. Its rate is the loop's saturation, from 0 to 1; where others need the processors, too, waiting for one counts as work. An estimate from every 17th wait while traffic is dense.", "loop")
	loopTakenFamily = define("gridway_loop_held_up_total", counter, "How often something ran for 10 ms and more without a wait, so that the loop's other connections were given to another goroutine.", "loop")
)

func (e *emitter) loops(list []Loop) {
	for i, l := range list {
		name := strconv.Itoa(i)
		e.gauge(&loopSocketsFamily, float64(l.Sockets), name)
		e.gauge(&loopQueuedFamily, float64(l.Queued), name)
		e.seconds(&loopBusyFamily, l.Busy, name)
		e.count(&loopTakenFamily, l.Taken, name)
	}
}
