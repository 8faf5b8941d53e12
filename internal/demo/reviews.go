package demo

import (
	"hash/fnv"
	"net/http"
	"sync/atomic"
)

// reviewsHandler answers with the same three opinions for a product each time.
// Version 2 adds stars and their mean. Its paths are those that customers see, so that
// one route is for them and for the services that ask.
func reviewsHandler(v2 bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/reviews/{id}", func(w http.ResponseWriter, r *http.Request) {
		p, ok := productByID(r.PathValue("id"))
		if !ok {
			writeError(w, http.StatusNotFound, "there is no such product")
			return
		}
		h := fnv.New32a()
		h.Write([]byte(p.ID))
		at, sum := int(h.Sum32()%uint32(len(opinions))), 0
		list := make([]Review, 0, 3)
		for i := range 3 {
			rv := opinions[(at+i*3)%len(opinions)]
			sum += rv.Stars
			if !v2 {
				rv.Stars = 0
			}
			list = append(list, rv)
		}
		answer := map[string]any{"product": p.ID, "reviews": list, "version": 1}
		if v2 {
			answer["version"], answer["stars"] = 2, float64(sum*10/len(list))/10
		}
		writeJSON(w, http.StatusOK, answer)
	})
	return mux
}

// audit counts the copies of orders that the edge mirrors to it.
type audit struct {
	name string
	seen atomic.Int64
}

func newAudit(name string) *audit { return &audit{name: name} }

func (a *audit) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusAccepted, map[string]int64{"seen": a.seen.Add(1)})
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]int64{"seen": a.seen.Load()})
	})
	return served(a.name, mux)
}
