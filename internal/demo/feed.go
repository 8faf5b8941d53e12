package demo

import "sync"

const (
	// maxSubscribers bounds who listens to a feed at a time.
	maxSubscribers = 256
	// feedBacklog is how many events may wait for a listener; one that is slower
	// misses some.
	feedBacklog = 64
)

// feed tells each event to everybody who listens. Its zero value is ready.
type feed[T any] struct {
	mu        sync.Mutex
	listeners map[chan T]struct{} // guarded by mu
}

// listen returns the events from now on, until stop is called. There is no room
// for it when ok is false.
func (f *feed[T]) listen() (events <-chan T, stop func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) >= maxSubscribers {
		return nil, nil, false
	}
	if f.listeners == nil {
		f.listeners = map[chan T]struct{}{}
	}
	c := make(chan T, feedBacklog)
	f.listeners[c] = struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, c)
	}, true
}

// tell never waits.
func (f *feed[T]) tell(v T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.listeners {
		select {
		case c <- v:
		default:
		}
	}
}
