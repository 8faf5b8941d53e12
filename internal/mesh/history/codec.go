package history

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// maxContent bounds what is read of a row, in bytes, before it is taken apart.
const maxContent = 8 << 20

// encode makes a row for the store: a report, as proxies make them, packed. Edges that
// count more than can be read again are left out: one proxy that lies costs nobody else a
// row.
func encode(row *signals.Row) (*statedb.SignalHistory, error) {
	edges := slices.DeleteFunc(slices.Clone(row.Edges), func(e signal.Edge) bool { return !report.Plausible(&e) })
	out := &statedb.SignalHistory{Slot: row.Begin.Unix(), Until: row.Until.UnixMilli(), Edges: int64(len(edges))}
	for i := range row.Edges { // also those left out: a later row is never the less full one
		out.Requests += int64(min(row.Edges[i].Count(), report.MaxCount))
	}
	r := report.Signals(edges)
	r.Sequence = 1
	raw, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	to := base64.NewEncoder(base64.StdEncoding, &text)
	packed := gzip.NewWriter(to)
	if _, err := packed.Write(raw); err != nil {
		return nil, err
	}
	if err := errors.Join(packed.Close(), to.Close()); err != nil {
		return nil, err
	}
	out.Content = text.String()
	return out, nil
}

func decode(h *statedb.SignalHistory) (*signals.Row, error) {
	fail := func(err error) (*signals.Row, error) {
		return nil, fmt.Errorf("the service graph's history of %s: %w", time.Unix(h.Slot, 0).UTC().Format(time.RFC3339), err)
	}
	packed, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(h.Content))))
	if err != nil {
		return fail(err)
	}
	raw, err := io.ReadAll(io.LimitReader(packed, maxContent+1))
	if err != nil {
		return fail(err)
	}
	if len(raw) > maxContent {
		return fail(fmt.Errorf("it is of more than %d MiB", maxContent>>20))
	}
	r := &meshpb.SignalReport{}
	if err := proto.Unmarshal(raw, r); err != nil {
		return fail(err)
	}
	edges, _, _, err := report.ReadSignals(r, func(signal.Party) bool { return true }) // what was kept was judged
	if err != nil {
		return fail(err)
	}
	row := &signals.Row{Begin: time.Unix(h.Slot, 0).UTC(), Until: time.UnixMilli(h.Until).UTC(), Edges: edges}
	if row.Begin.Truncate(signals.Step) != row.Begin || !row.Until.After(row.Begin) || row.Until.Sub(row.Begin) > signals.Step {
		return fail(errors.New("its time is not one of ten minutes"))
	}
	return row, nil
}
