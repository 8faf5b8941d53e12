package metric_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
)

// What is under way is in the snapshot, also of rules of which nothing has ended yet.
func TestSnapshotHasWhatIsOpen(t *testing.T) {
	r := metric.New(metric.Options{})
	route, stream := r.Route("HTTPRoute/default/a/rules/0"), r.Stream("TCPRoute/default/b/rules/0")
	r.Cluster("Backend/default/c")
	r.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		yield("Backend/default/c", metric.ClusterGauges{ActiveRequests: 3})
	})
	if s := r.Snapshot(); len(s.Routes) != 0 {
		t.Errorf("nothing is open: %+v", s.Routes)
	}
	route.StreamOpened()
	route.StreamOpened()
	stream.Opened()
	s := r.Snapshot()
	if len(s.Routes) != 2 || s.Routes[0].Open != 2 || s.Routes[1].Open != 1 || len(s.Clusters) != 1 || s.Clusters[0].Open != 3 {
		t.Errorf("%+v", s)
	}
	route.StreamClosed()
	stream.Ended(time.Second, 1, 1, 0, false)
	if s := r.Snapshot(); len(s.Routes) != 2 || s.Routes[0].Open != 1 || s.Routes[1].Open != 0 || s.Routes[1].Total != 1 {
		t.Errorf("%+v", s.Routes)
	}
}
