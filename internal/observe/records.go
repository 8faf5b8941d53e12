package observe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Records answer questions of question.KindRecords with what has passed a data plane: each
// item is a trace.Record in JSON. The query is as trace.ParseQuery has it.
type Records struct{ Recorder *trace.Recorder }

// Answer implements question.Answerer.
func (r Records) Answer(ctx context.Context, query string, give func(items ...[]byte) error) error {
	v, err := url.ParseQuery(query)
	if err != nil {
		return question.Refuse("the query cannot be read")
	}
	q, err := trace.ParseQuery(v, time.Now())
	if err != nil {
		return question.Refuse("%v", err)
	}
	for part := range slices.Chunk(r.Recorder.Find(q), recordsOfPart) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		items := make([][]byte, 0, len(part))
		for _, record := range part {
			if item, err := json.Marshal(record); err == nil && len(item) <= question.MaxItem { // records are far smaller
				items = append(items, item)
			}
		}
		if err := give(items...); err != nil {
			return err
		}
	}
	return nil
}

// recordsOfPart travel together.
const recordsOfPart = 64

// recordsWithin is how long proxies have to say what they remember.
const recordsWithin = 5 * time.Second

// Records asks all proxies what they remember, and returns the newest of it, by the
// query's limit. Who has not answered in time is named.
func (o *Observer) Records(ctx context.Context, q *trace.Query) (*trace.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, recordsWithin)
	defer cancel()
	out := &trace.Answer{Records: []*trace.Record{}}
	limit := q.Limit
	if limit <= 0 || limit > trace.MaxFound {
		limit = trace.MaxFound
	}
	err := o.Ask(ctx, question.Ask{Kind: question.KindRecords, Query: q.Values().Encode(), Take: func(p *question.Part) error {
		unread := 0
		for _, item := range p.Items {
			r := &trace.Record{}
			if json.Unmarshal(item, r) != nil {
				unread++
				continue
			}
			r.Proxy = p.Name
			out.Records = append(out.Records, r)
		}
		if len(out.Records) > 2*limit {
			out.Records = newest(out.Records, limit)
		}
		switch {
		case p.Problem != "":
			out.Unreached = append(out.Unreached, trace.Unreached{Proxy: p.Name, Why: p.Problem})
		case unread > 0:
			out.Unreached = append(out.Unreached, trace.Unreached{Proxy: p.Name, Why: fmt.Sprintf("%d of its records could not be read", unread)})
		case p.Lost > 0:
			out.Unreached = append(out.Unreached, trace.Unreached{Why: fmt.Sprintf("%d records were left out: there are too many at once; ask for fewer", p.Lost)})
		}
		return nil
	}})
	out.Records = newest(out.Records, limit)
	if ctx.Err() == context.DeadlineExceeded { // what has come by then is worth something
		out.Unreached = append(out.Unreached, trace.Unreached{Why: fmt.Sprintf("some proxies did not answer within %v", recordsWithin)})
		return out, nil
	}
	return out, err
}

func newest(list []*trace.Record, most int) []*trace.Record {
	slices.SortStableFunc(list, func(a, b *trace.Record) int { return cmp.Compare(b.Start.UnixNano(), a.Start.UnixNano()) })
	return list[:min(len(list), most)]
}
