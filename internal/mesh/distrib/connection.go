package distrib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// movedError ends a connection whose control plane asks the proxy to go.
type movedError struct{ reason string }

func (e *movedError) Error() string { return "the control plane asks to go to another: " + e.reason }

var errSilent = errors.New("the control plane has not answered in time")

// goodbyeTimeout bounds the wait for a control plane to hear that the proxy ends.
const goodbyeTimeout = time.Second

// connection is one stream of a Client.
type connection struct {
	*Client
	stream grpc.BidiStreamingClient[meshpb.FromProxy, meshpb.FromControl]
	// sequence is of the newest service that the Hello has named.
	sequence uint64
	// good: a view has come whole.
	good bool
	// level: the control plane is known not to be behind what is served.
	level bool
	// held back is a view that seems older than what is served.
	waiting *Revision
	staged  *staging
	resends int
	// answers and unknown are of the last view that came whole.
	answers  uint64
	unknown  []string
	patience <-chan time.Time
	saving   <-chan time.Time
	// retry puts in service what is missing of a revision.
	retry retry
}

// connect has a stream with one control plane until it ends. It is good if a view
// has come.
func (c *Client) connect(ctx context.Context, target string) (good bool, err error) {
	conn, err := c.dialer(target)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	// The stream outlives the process's wish to end for long enough to say so.
	parent := ctx
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	silent := time.AfterFunc(welcomeTimeout, func() { cancel(errSilent) })
	defer silent.Stop()
	x := &connection{Client: c}
	if x.stream, err = meshpb.NewDistributionClient(conn).Stream(ctx); err != nil {
		return false, cause(ctx, err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	if err := x.hello(); err != nil {
		return false, cause(ctx, err)
	}
	messages, end := make(chan *meshpb.FromControl), make(chan struct{})
	work.Go(func() { cancel(x.receive(ctx, messages)) })
	work.Go(func() {
		if err := x.send(ctx, end); err != nil {
			cancel(err)
		}
	})
	defer func() {
		// What endpoints have become is on disk when a process ends in peace.
		if x.saving != nil {
			x.save()
		}
	}()
	// What is beside the stream ends when the process wishes to, and may say so still.
	beside, endBeside := context.WithCancel(ctx)
	defer endBeside()
	defer context.AfterFunc(parent, endBeside)()
	welcome := false
	var move <-chan time.Time
	reason := ""
	for {
		select {
		case <-ctx.Done():
			return x.good, context.Cause(ctx)
		case <-parent.Done():
			close(end)
			x.goodbye(ctx, messages)
			return x.good, context.Cause(parent)
		case <-move:
			return x.good, &movedError{reason}
		case <-x.saving:
			x.saving = nil
			x.save()
		case <-x.patience:
			x.patience = nil
			x.giveIn()
		case <-x.retry.at:
			x.run(x.retry.revision)
		case m := <-messages:
			x.heard()
			switch m := m.GetMessage().(type) {
			case *meshpb.FromControl_Welcome:
				silent.Stop()
				if c.cfg.Beside != nil && !welcome {
					work.Go(func() { c.cfg.Beside(beside, conn) })
				}
				welcome = true
				c.mu.Lock()
				c.state.Target, c.state.Control, c.state.Since, c.state.Problem = target, short(m.Welcome.GetControl()), time.Now(), ""
				c.mu.Unlock()
				c.cfg.Log.Info("connected to a control plane", "target", target, "control", short(m.Welcome.GetControl()), "version", short(m.Welcome.GetVersion()))
			case *meshpb.FromControl_Update:
				err = x.update(m.Update)
			case *meshpb.FromControl_Endpoints:
				err = x.endpoints(m.Endpoints)
			case *meshpb.FromControl_Trust:
				c.cfg.Applier.Trust(m.Trust.GetBundles(), m.Trust.GetDenied())
			case *meshpb.FromControl_Withheld:
				err = c.withhold(m.Withheld)
			case *meshpb.FromControl_Reconnect:
				reason = short(m.Reconnect.GetReason())
				within := time.Duration(m.Reconnect.GetWithin()) * time.Millisecond
				move = time.After(rand.N(min(within, time.Hour)/2 + 1))
			}
			if err != nil {
				return x.good, err
			}
		}
	}
}

// heard notes that something came.
func (x *connection) heard() {
	x.mu.Lock()
	x.state.Heard = time.Now()
	x.mu.Unlock()
}

// goodbye waits until receive has seen the end of the stream.
func (x *connection) goodbye(ctx context.Context, messages <-chan *meshpb.FromControl) {
	enough := time.After(goodbyeTimeout)
	for {
		select {
		case <-ctx.Done():
			return
		case <-enough:
			return
		case <-messages: // of no use any more
		}
	}
}

// cause is why a context ended, if that is what ended something.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}

// hello says who the proxy is and what it has.
func (x *connection) hello() error {
	x.mu.Lock()
	p := x.proxy
	p.Services = slices.Sorted(maps.Keys(x.uses))
	x.sequence = x.Client.sequence
	x.todo = outgoing{}
	x.mu.Unlock()
	hello := helloOf(&p, x.serving)
	hello.Patches = x.cache != nil // else nothing of what they are changes of is kept
	if err := x.stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Hello{Hello: hello}}); err != nil {
		return x.ended(err)
	}
	var part meshpb.Held
	flush := func() error {
		err := x.stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Held{Held: &part}})
		part.Resources = nil
		return err
	}
	for k, h := range x.held {
		part.Resources = append(part.Resources, &meshpb.HeldResource{Kind: k.Kind, Name: k.Name, Hash: h.hash})
		if len(part.Resources) == 4096 {
			if err := flush(); err != nil {
				return x.ended(err)
			}
		}
	}
	part.Last = true
	return x.ended(flush())
}

// ended has the status of a stream instead of the io.EOF of who sends on it.
func (x *connection) ended(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := x.stream.Recv(); err != nil {
		return err
	}
	return err
}

func (x *connection) receive(ctx context.Context, messages chan<- *meshpb.FromControl) error {
	for {
		m, err := x.stream.Recv()
		if err != nil {
			return err
		}
		select {
		case messages <- m:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send says what there is to say until the connection ends.
func (x *connection) send(ctx context.Context, end <-chan struct{}) error {
	for {
		x.mu.Lock()
		todo := x.todo
		x.todo = outgoing{}
		p, sequence := x.proxy, x.Client.sequence
		x.mu.Unlock()
		var list []*meshpb.FromProxy
		if todo.hello {
			list = append(list, &meshpb.FromProxy{Message: &meshpb.FromProxy_Hello{Hello: helloOf(&p, Revision{})}})
		}
		if len(todo.health) > 0 {
			h := &meshpb.Health{}
			for k, healthy := range todo.health {
				h.Workloads = append(h.Workloads, &meshpb.WorkloadHealth{Namespace: k.namespace, Service: k.service, Name: k.name, Healthy: healthy})
			}
			list = append(list, &meshpb.FromProxy{Message: &meshpb.FromProxy_Health{Health: h}})
		}
		if len(todo.unsubscribe) > 0 {
			list = append(list, &meshpb.FromProxy{Message: &meshpb.FromProxy_Unsubscribe{Unsubscribe: &meshpb.Unsubscribe{Services: todo.unsubscribe}}})
		}
		if len(todo.subscribe) > 0 {
			list = append(list, &meshpb.FromProxy{Message: &meshpb.FromProxy_Subscribe{Subscribe: &meshpb.Subscribe{Services: todo.subscribe, Sequence: sequence}}})
		}
		for _, m := range append(list, todo.answers...) {
			if err := x.stream.Send(m); err != nil {
				if errors.Is(err, io.EOF) {
					return nil // receive knows why
				}
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-end:
			// The control plane need not wonder where the proxy is.
			return x.stream.CloseSend()
		case <-x.wake:
		}
	}
}

// say has a message sent.
func (x *connection) say(m *meshpb.FromProxy) {
	x.mu.Lock()
	x.todo.answers = append(x.todo.answers, m)
	x.mu.Unlock()
	x.kick()
}

// ack says that a view is served, but for what it lacks.
func (x *connection) ack(r Revision) {
	if len(x.lacks) > 0 {
		x.nack(r, r, x.lacks)
		x.later(r)
		return
	}
	x.say(&meshpb.FromProxy{Message: &meshpb.FromProxy_Ack{Ack: &meshpb.Ack{Revision: r.message()}}})
}

// resend asks for what came wrong; nothing of it is used.
func (x *connection) resend(list []*meshpb.HeldResource, why error) error {
	if x.resends++; x.resends > maxResends {
		return fmt.Errorf("what the control plane sends goes on being wrong: %w", why)
	}
	x.cfg.Log.Warn("what the control plane sent is not what it says, and is asked for again", "error", why)
	x.say(&meshpb.FromProxy{Message: &meshpb.FromProxy_Resend{Resend: &meshpb.Resend{Resources: list, Reason: why.Error()}}})
	return nil
}
