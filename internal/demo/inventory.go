package demo

import (
	"net/http"
	"sync"
)

// stock is shared by the instances of the inventory, as a database would be.
type stock struct {
	mu    sync.Mutex
	count map[string]int // guarded by mu

	changes feed[Level]
}

func newStock() *stock {
	s := &stock{count: map[string]int{}}
	for i, p := range products {
		s.count[p.ID] = 40 + i*17%60
	}
	return s
}

// take reserves n pieces. An empty shelf is filled up at once: the demo has no suppliers.
func (s *stock) take(id string, n int) (left int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, known := s.count[id]
	if !known || n < 1 || n > 100 {
		return have, false
	}
	if have < n {
		have += 100
	}
	s.count[id] = have - n
	s.changes.tell(Level{id, have - n})
	return have - n, true
}

func (s *stock) of(id string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.count[id]
	return n, ok
}

func (s *stock) handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		n, ok := s.of(r.PathValue("id"))
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such product")
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"id": r.PathValue("id"), "count": n})
	})
	mux.HandleFunc("PUT /stock/{id}/reserve", func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			Count int `json:"count"`
		}
		if !readJSON(w, r, &ask) {
			return
		}
		left, ok := s.take(r.PathValue("id"), ask.Count)
		if !ok {
			writeError(w, http.StatusConflict, "that cannot be reserved")
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"id": r.PathValue("id"), "reserved": ask.Count, "left": left})
	})
	return served(name, mux)
}
