package demo

import (
	"net/http"
	"net/url"
	"sync"
)

// stock is how many pieces there are of each product.
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

func inventoryHandler(office *desk) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) {
		var level Level
		err := office.ask(r.Context(), http.MethodGet, "/stock/"+url.PathEscape(r.PathValue("id")), nil, &level)
		answer(w, http.StatusOK, err, level)
	})
	mux.HandleFunc("PUT /stock/{id}/reserve", func(w http.ResponseWriter, r *http.Request) {
		var wish struct {
			Count int `json:"count"`
		}
		if !readJSON(w, r, &wish) {
			return
		}
		var left Level
		err := office.ask(r.Context(), http.MethodPost, "/stock/"+url.PathEscape(r.PathValue("id"))+"/take", wish, &left)
		answer(w, http.StatusOK, err, map[string]any{"id": r.PathValue("id"), "reserved": wish.Count, "left": left.Count})
	})
	return mux
}
