package app

import (
	"github.com/gridway/gridway/internal/app/live"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// listeners says how each socket of the process does. Without http3 the UDP side of one is not open.
func (r *runtime) listeners(s *state) []adminapi.ListenerStatus {
	connections, open := r.g.plane.Connections(), r.g.plane.Listening()
	var out []adminapi.ListenerStatus
	for _, l := range r.g.mine(s.config).Listeners {
		ls := live.Listener(l, connections[l.Name])
		http3 := l.ServesHTTP3()
		if why, bad := s.unopened[l.Name]; bad {
			ls.State, ls.Error, ls.Tries, ls.NextTry = "failed", why, s.reopening.tries, s.reopening.next
			if _, tcp := open[l.Name]; tcp { // it is only HTTP/3 that is missing
				ls.State, http3 = "listening", false
			}
		}
		if s.phase == adminapi.Draining {
			ls.State = "draining"
		}
		ls.Speaks = live.Speaks(l, http3)
		ls.EarlyData = http3 && l.Client.HTTP3.EarlyData
		out = append(out, ls)
	}
	return out
}
