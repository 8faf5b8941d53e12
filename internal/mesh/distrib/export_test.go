package distrib

import "log/slog"

// Pending is how many bytes of endpoints wait to be sent.
func (s *Server) Pending() (n int64) {
	s.each(func(x *session) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, r := range x.todo.endpoints {
			n += int64(len(r.Body))
		}
	})
	return n
}

// For tests of deltas.
var (
	DeltaOf    = deltaOf
	ApplyDelta = applyDelta
)

// For tests of changes of resources.
var (
	PatchOf    = patchOf
	ApplyPatch = applyPatch
)

// ReadCache opens a cache and says what it had.
func ReadCache(path string) ([]*Resource, error) {
	c, had, err := openCache(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer c.close()
	return had.resources, nil
}
