package live

import (
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

func RateLimitStores(list []proxy.RateLimitStoreState) []adminapi.RateLimitStoreStatus {
	out := make([]adminapi.RateLimitStoreStatus, len(list))
	for i, s := range list {
		out[i] = adminapi.RateLimitStoreStatus{Name: s.Name, Kind: s.Kind, State: "up", Error: s.Error, Since: s.Since}
		if !s.Up {
			out[i].State = "down"
		}
	}
	return out
}
