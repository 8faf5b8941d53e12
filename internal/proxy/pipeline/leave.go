package pipeline

import "sync"

// Leaving tells whoever wants to know, once, that a connection is to end. Its
// zero value is ready.
type Leaving struct {
	mu   sync.Mutex
	told bool   // guarded by mu
	f    func() // guarded by mu
}

// On is Downstream.OnLeave.
func (l *Leaving) On(f func()) {
	l.mu.Lock()
	told := l.told && f != nil
	if !told {
		l.f = f
	}
	l.mu.Unlock()
	if told {
		f()
	}
}

// Tell is called when the connection is to end.
func (l *Leaving) Tell() {
	if f := l.Take(); f != nil {
		f()
	}
}

// Take is Tell for a caller who calls f, which may be nil, later.
func (l *Leaving) Take() (f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, l.f = l.f, nil
	l.told = true
	return f
}
