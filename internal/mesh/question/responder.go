package question

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// againAfter is how long a proxy waits before it opens a stream that failed anew.
const againAfter = 2 * time.Second

// Responder answers the questions of control planes at a proxy. Run is not for several
// goroutines at a time.
type Responder struct {
	// Name is how the proxy calls itself on the stream of its configuration.
	Name func() string
	// Answerers are what it knows.
	Answerers Answerers
	Log       *slog.Logger
}

// Run answers over a connection until ctx ends.
func (r *Responder) Run(ctx context.Context, conn grpc.ClientConnInterface) {
	for ctx.Err() == nil {
		err := r.stream(ctx, conn)
		if status.Code(err) == codes.Unimplemented {
			return // an older control plane
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Debug("no control plane asks what passes", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(againAfter):
		}
	}
}

// answering is one stream.
type answering struct {
	*Responder
	stream grpc.BidiStreamingClient[meshpb.Observed, meshpb.Question]

	sending sync.Mutex // is held by who sends

	mu      sync.Mutex
	running map[uint64]context.CancelFunc // guarded by mu
}

// stream answers on one stream until that fails.
func (r *Responder) stream(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stream, err := meshpb.NewObservationClient(conn).Observe(ctx)
	if err != nil {
		return err
	}
	a := &answering{Responder: r, stream: stream, running: map[uint64]context.CancelFunc{}}
	if err := a.send(&meshpb.Observed{Message: &meshpb.Observed_Hello{Hello: &meshpb.ObservedProxy{Name: r.Name()}}}); err != nil {
		_, err = stream.Recv() // which says why
		return err
	}
	for {
		q, err := stream.Recv()
		if err != nil {
			return err
		}
		if q.GetStop() {
			a.stop(q.GetId())
			continue
		}
		answerer, asked, why := a.begin(ctx, q)
		if why != nil {
			if err := a.answer(&meshpb.Answer{Id: q.GetId(), Finished: why}); err != nil {
				return err
			}
			continue
		}
		wg.Go(func() {
			defer a.stop(q.GetId())
			err := answerer.Answer(asked, q.GetQuery(), func(items ...[]byte) error { return a.give(q.GetId(), items) })
			if ctx.Err() != nil {
				return // the stream ends
			}
			if asked.Err() != nil {
				err = nil // it was stopped
			}
			if a.finish(q.GetId(), finished(err)) != nil {
				cancel() // which Recv hears
			}
		})
	}
}

// begin notes a question, or says why it is not answered.
func (a *answering) begin(ctx context.Context, q *meshpb.Question) (Answerer, context.Context, *meshpb.Finished) {
	answerer := a.Answerers[q.GetKind()]
	if answerer == nil {
		return nil, nil, &meshpb.Finished{Reason: meshpb.FinishedReason_FINISHED_REASON_UNKNOWN_KIND, Why: "this proxy's version does not know such a question"}
	}
	if len(q.GetQuery()) > MaxQuery {
		return nil, nil, finished(Refuse("the question is longer than %d bytes", MaxQuery))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.running[q.GetId()] != nil:
		return nil, nil, finished(Refuse("the question %d is being answered", q.GetId()))
	case len(a.running) >= MaxOfProxy:
		return nil, nil, finished(Refuse("the proxy answers %d questions already; end one of them", MaxOfProxy))
	}
	asked, cancel := context.WithCancel(ctx)
	a.running[q.GetId()] = cancel
	return answerer, asked, nil
}

func (a *answering) stop(id uint64) {
	a.mu.Lock()
	cancel := a.running[id]
	a.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// give sends items, as many together as may be.
func (a *answering) give(id uint64, items [][]byte) error {
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && (n == 0 || size+len(items[n]) <= maxPart) {
			if len(items[n]) > MaxItem {
				return errors.New("question: an item is too long")
			}
			size += len(items[n])
			n++
		}
		if err := a.answer(&meshpb.Answer{Id: id, Items: items[:n]}); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

func (a *answering) finish(id uint64, f *meshpb.Finished) error {
	a.mu.Lock()
	delete(a.running, id)
	a.mu.Unlock()
	return a.answer(&meshpb.Answer{Id: id, Finished: f})
}

func (a *answering) answer(m *meshpb.Answer) error {
	return a.send(&meshpb.Observed{Message: &meshpb.Observed_Answer{Answer: m}})
}

// send waits until the control plane takes it.
func (a *answering) send(m *meshpb.Observed) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	return a.stream.Send(m)
}

// finished is what an answer's end is called.
func finished(err error) *meshpb.Finished {
	var refused *Refusal
	switch {
	case err == nil:
		return &meshpb.Finished{Reason: meshpb.FinishedReason_FINISHED_REASON_COMPLETE}
	case errors.As(err, &refused):
		return &meshpb.Finished{Reason: meshpb.FinishedReason_FINISHED_REASON_REFUSED, Why: short(refused.Why, maxWhy)}
	}
	return &meshpb.Finished{Reason: meshpb.FinishedReason_FINISHED_REASON_FAILED, Why: short(err.Error(), maxWhy)}
}
