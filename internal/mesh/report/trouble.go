package report

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// maxDetail is the longest detail of a trouble, in bytes.
const maxDetail = 100

// Troubles makes a report of what is not well at a moment.
func Troubles(proxy string, list []trouble.Trouble, more int, now time.Time) *meshpb.TroubleReport {
	r := &meshpb.TroubleReport{Proxy: proxy, More: uint64(max(more, 0)), Troubles: make([]*meshpb.Trouble, 0, len(list))}
	for i := range list {
		t := &list[i]
		x := &meshpb.Trouble{
			Cluster: t.Cluster, Endpoint: t.Endpoint, Kind: meshpb.TroubleKind(t.Kind), Detail: t.Detail,
			Endpoints: uint32(min(max(t.Endpoints, 0), math.MaxUint32)), Times: t.Times, Age: milliseconds(now.Sub(t.Since)),
		}
		if !t.Over.IsZero() {
			x.Over, x.Ended = true, milliseconds(now.Sub(t.Over))
		}
		r.Troubles = append(r.Troubles, x)
	}
	return r
}

// ReadTroubles reads what Troubles makes, at the time of the reader's clock. Kinds that are not
// known are those of a newer proxy, and left out. An error is that the report cannot be true.
func ReadTroubles(r *meshpb.TroubleReport, now time.Time) ([]trouble.Trouble, error) {
	if len(r.GetTroubles()) > trouble.Max {
		return nil, fmt.Errorf("a report has %d troubles at most", trouble.Max)
	}
	list, told := make([]trouble.Trouble, 0, len(r.GetTroubles())), map[trouble.Key]bool{}
	for _, x := range r.GetTroubles() {
		kind := trouble.Kind(0)
		if k := x.GetKind(); k > 0 && k <= math.MaxUint8 {
			kind = trouble.Kind(k)
		}
		if !kind.Known() {
			continue
		}
		t := trouble.Trouble{
			Key: trouble.Key{Cluster: x.GetCluster(), Endpoint: x.GetEndpoint(), Kind: kind}, Detail: x.GetDetail(), Endpoints: int(x.GetEndpoints()), Times: x.GetTimes(),
			Since: now.Add(-Milliseconds(x.GetAge())),
		}
		switch {
		case t.Cluster == "" || !isName(t.Cluster) || !isName(t.Endpoint):
			return nil, errors.New("the cluster or the endpoint of a trouble has no name, or one that is too long or no text")
		case len(t.Detail) > maxDetail || !utf8.ValidString(t.Detail) || strings.ContainsFunc(t.Detail, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, errors.New("the detail of a trouble is too long or no text")
		case t.Times > MaxCount:
			return nil, errors.New("a trouble counts too much")
		case told[t.Key]:
			return nil, errors.New("a trouble is told of twice")
		}
		told[t.Key] = true
		if x.GetOver() {
			t.Over = now.Add(-min(Milliseconds(x.GetEnded()), now.Sub(t.Since)))
		}
		list = append(list, t)
	}
	return list, nil
}
