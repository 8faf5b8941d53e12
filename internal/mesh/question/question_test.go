package question_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/question"
)

// answer is an Answerer that is a function.
type answer func(ctx context.Context, query string, give func(...[]byte) error) error

func (a answer) Answer(ctx context.Context, query string, give func(...[]byte) error) error {
	return a(ctx, query, give)
}

// mesh is a hub, and proxies that say who they are.
type mesh struct {
	t      *testing.T
	hub    *question.Hub
	listen *bufconn.Listener
}

func newMesh(t *testing.T) *mesh {
	m := &mesh{t: t, listen: bufconn.Listen(1 << 20)}
	m.hub = question.NewHub(question.HubOptions{
		Identity: func(ctx context.Context) (string, error) {
			if who := metadata.ValueFromIncomingContext(ctx, "identity"); len(who) == 1 {
				return who[0], nil
			}
			return "", errors.New("nobody")
		},
		Known:   func(p question.Proxy) bool { return p.Identity == "id-of-"+p.Name },
		Control: func(id string) bool { return id == "control" }, Replica: "this",
		Own: question.Answerers{"own": three},
	})
	s := grpc.NewServer()
	m.hub.Register(s)
	go func() { _ = s.Serve(m.listen) }()
	t.Cleanup(s.Stop)
	return m
}

// dial is a connection of somebody of that identity.
func (m *mesh) dial(identity string) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///mesh", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return m.listen.Dial() }),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			return next(metadata.AppendToOutgoingContext(ctx, "identity", identity), d, c, method, o...)
		}))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// proxy connects one that answers, and returns what ends it.
func (m *mesh) proxy(name string, with question.Answerers) (end func()) {
	ctx, cancel := context.WithCancel(m.t.Context())
	conn := m.dial("id-of-" + name)
	var wg sync.WaitGroup
	wg.Go(func() {
		(&question.Responder{Name: func() string { return name }, Answerers: with, Log: slog.New(slog.DiscardHandler)}).Run(ctx, conn)
	})
	end = sync.OnceFunc(func() { cancel(); wg.Wait() })
	m.t.Cleanup(end)
	m.wait(func() bool {
		return m.hub.Count(question.Only{name}) == 1
	})
	return end
}

func (m *mesh) wait(until func() bool) {
	m.t.Helper()
	late := time.After(10 * time.Second)
	for !until() {
		select {
		case <-late:
			m.t.Fatal("it did not come to that")
		case <-time.After(time.Millisecond):
		}
	}
}

// three gives three items.
var three = answer(func(_ context.Context, query string, give func(...[]byte) error) error {
	return give([]byte(query+"1"), []byte(query+"2"), []byte(query+"3"))
})

// gather asks and returns what came, "proxy:item".
func (m *mesh) gather(q question.Ask) (items, problems []string) {
	m.t.Helper()
	q.Take = func(p *question.Part) error {
		for _, item := range p.Items {
			items = append(items, p.Name+":"+string(item))
		}
		if p.Problem != "" {
			problems = append(problems, p.Name+": "+p.Problem)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := m.hub.Ask(ctx, q); err != nil {
		m.t.Fatal(err)
	}
	return items, problems
}

func TestAllAnswer(t *testing.T) {
	m := newMesh(t)
	m.proxy("a", question.Answerers{"k": three})
	m.proxy("b", question.Answerers{"k": three})
	items, problems := m.gather(question.Ask{Kind: "k", Query: "x"})
	if len(items) != 6 || len(problems) != 0 {
		t.Errorf("%v, %v", items, problems)
	}
	items, _ = m.gather(question.Ask{Kind: "k", Query: "x", Only: question.Only{"b"}})
	if fmt.Sprint(items) != "[b:x1 b:x2 b:x3]" {
		t.Error(items)
	}
}

func TestWhoDoesNotAnswerSaysWhy(t *testing.T) {
	m := newMesh(t)
	m.proxy("old", question.Answerers{})
	m.proxy("picky", question.Answerers{"k": answer(func(context.Context, string, func(...[]byte) error) error { return question.Refuse("not %s", "so") })})
	m.proxy("broken", question.Answerers{"k": answer(func(context.Context, string, func(...[]byte) error) error { return errors.New("out of luck") })})
	m.proxy("long", question.Answerers{"k": answer(func(_ context.Context, _ string, give func(...[]byte) error) error {
		return give(make([]byte, question.MaxItem+1))
	})})
	_, problems := m.gather(question.Ask{Kind: "k"})
	text := strings.Join(problems, "; ")
	for _, want := range []string{"old: this proxy's version does not know such a question", "picky: not so", "broken: out of luck", "long: question: an item is too long"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if len(problems) != 4 {
		t.Error(problems)
	}
}

// endless gives items until it is stopped, and says when it has.
func endless(stopped chan<- error) answer {
	return func(ctx context.Context, _ string, give func(...[]byte) error) error {
		item := make([]byte, 10_000)
		for ctx.Err() == nil {
			if err := give(item); err != nil {
				stopped <- err
				return err
			}
		}
		stopped <- ctx.Err()
		return ctx.Err()
	}
}

func TestAQuestionEndsAtTheProxy(t *testing.T) {
	m := newMesh(t)
	stopped := make(chan error, 1)
	m.proxy("a", question.Answerers{"k": endless(stopped), "other": three})
	enough := errors.New("enough")
	n := 0
	_, err := m.hub.Ask(t.Context(), question.Ask{Kind: "k", Follow: true, Take: func(p *question.Part) error {
		if n += len(p.Items); n > 100 {
			return enough
		}
		return nil
	}})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	<-stopped
	if items, _ := m.gather(question.Ask{Kind: "other"}); len(items) != 3 {
		t.Error("the stream is not as it was")
	}
}

func TestASlowAskerLosesItemsAndHoldsUpNobody(t *testing.T) {
	m := newMesh(t)
	stopped, full := make(chan error, 1), make(chan struct{})
	m.proxy("a", question.Answerers{"other": three, "k": answer(func(ctx context.Context, q string, give func(...[]byte) error) error {
		given := 0
		return endless(stopped)(ctx, q, func(items ...[]byte) error {
			if given++; given == 2000 { // 20 MB, of which 4 MiB can wait
				close(full)
			}
			return give(items...)
		})
	})})
	ctx, cancel := context.WithCancel(t.Context())
	hold, lost, done := make(chan bool), uint64(0), make(chan error)
	go func() {
		_, err := m.hub.Ask(ctx, question.Ask{Kind: "k", Follow: true, Take: func(p *question.Part) error {
			<-hold
			lost += p.Lost
			if lost > 0 {
				return errors.New("told")
			}
			return nil
		}})
		done <- err
	}()
	<-full
	for range 20 { // while nothing is taken
		if items, _ := m.gather(question.Ask{Kind: "other"}); len(items) != 3 {
			t.Fatal("others wait")
		}
	}
	close(hold)
	if err := <-done; err == nil || err.Error() != "told" {
		t.Error(err)
	}
	cancel()
	<-stopped
}

// A proxy that answers with nothing, millions of times, takes no memory while who has asked
// takes nothing.
func TestAnswersOfNothingAreBounded(t *testing.T) {
	m := newMesh(t)
	conn := m.dial("id-of-a")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hold, begun, done := make(chan struct{}), make(chan struct{}), make(chan error)
	begin := sync.OnceFunc(func() { close(begun) })
	items, problems := 0, 0
	go func() {
		_, err := m.hub.Ask(ctx, question.Ask{Kind: "k", Follow: true, Take: func(p *question.Part) error {
			begin()
			<-hold
			items += len(p.Items)
			if p.Problem != "" {
				problems++
			}
			return nil
		}})
		done <- err
	}()
	stream, err := meshpb.NewObservationClient(conn).Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&meshpb.Observed{Message: &meshpb.Observed_Hello{Hello: &meshpb.ObservedProxy{Name: "a"}}}); err != nil {
		t.Fatal(err)
	}
	q, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	answer := func(items ...[]byte) {
		t.Helper()
		if err := stream.Send(&meshpb.Observed{Message: &meshpb.Observed_Answer{Answer: &meshpb.Answer{Id: q.GetId(), Items: items}}}); err != nil {
			t.Fatal(err)
		}
	}
	answer([]byte("x"))
	<-begun // which takes nothing more
	const each, times = 100_000, 20
	empty, short := make([][]byte, each), make([][]byte, each)
	for i := range short {
		short[i] = []byte("x")
	}
	for range times {
		answer(empty...)
		answer(short...)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	m.wait(func() bool { return m.hub.Count(nil) == 0 })
	close(hold)
	cancel()
	<-done
	if items > 1+each || problems > 1 {
		t.Errorf("%d items of %d have waited, and %d problems", items, 2*each*times, problems)
	}
}

func TestWhoComesLaterIsAskedToo(t *testing.T) {
	m := newMesh(t)
	m.proxy("a", question.Answerers{"k": three})
	seen, done := make(chan string, 10), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := m.hub.Ask(ctx, question.Ask{Kind: "k", Follow: true, Take: func(p *question.Part) error {
			if p.Problem != "" {
				seen <- p.Name + " " + p.Problem
			} else {
				seen <- p.Name
			}
			return nil
		}})
		done <- err
	}()
	if got := <-seen; got != "a" {
		t.Error(got)
	}
	end := m.proxy("b", question.Answerers{"k": answer(func(ctx context.Context, _ string, give func(...[]byte) error) error {
		if err := give([]byte("x")); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})})
	if got := <-seen; got != "b" {
		t.Error(got)
	}
	end()
	if got := <-seen; got != "b its connection to the control plane has ended" {
		t.Error(got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	m := newMesh(t)
	m.proxy("a", question.Answerers{"k": answer(func(ctx context.Context, _ string, _ func(...[]byte) error) error { <-ctx.Done(); return ctx.Err() })})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan string, question.MaxOfHub)
	var wg sync.WaitGroup
	for range question.MaxOfHub {
		wg.Go(func() {
			_, _ = m.hub.Ask(ctx, question.Ask{Kind: "k", Follow: true, Take: func(p *question.Part) error { refused <- p.Problem; return nil }})
		})
	}
	for range question.MaxOfHub - question.MaxOfProxy {
		if why := <-refused; !strings.Contains(why, "answers 16 questions already") {
			t.Error(why)
		}
	}
	if _, err := m.hub.Ask(ctx, question.Ask{Kind: "k"}); !errors.Is(err, question.ErrTooMany) {
		t.Error(err)
	}
	if _, err := m.hub.Ask(ctx, question.Ask{Kind: "k", Query: strings.Repeat("x", question.MaxQuery+1)}); !errors.As(err, new(*question.Refusal)) {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

func TestStrangersAreNotHeard(t *testing.T) {
	m := newMesh(t)
	for _, c := range []struct {
		identity, name string
		want           codes.Code
	}{
		{"id-of-a", "b", codes.FailedPrecondition}, {"id-of-a", "", codes.InvalidArgument}, {"id-of-", strings.Repeat("x", 600), codes.InvalidArgument},
	} {
		stream, err := meshpb.NewObservationClient(m.dial(c.identity)).Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&meshpb.Observed{Message: &meshpb.Observed_Hello{Hello: &meshpb.ObservedProxy{Name: c.name}}})
		if _, err := stream.Recv(); status.Code(err) != c.want {
			t.Errorf("%s as %.10s: %v", c.identity, c.name, err)
		}
	}
	if m.hub.Count(nil) != 0 {
		t.Error("a stranger was taken in")
	}
}

func TestRelay(t *testing.T) {
	m := newMesh(t)
	m.proxy("a", question.Answerers{"k": three})
	m.proxy("old", question.Answerers{})
	var items, problems []string
	ask := question.Ask{Kind: "k", Query: "x", Take: func(p *question.Part) error {
		for _, item := range p.Items {
			items = append(items, p.Name+" "+p.Identity+" "+string(item))
		}
		if p.Problem != "" {
			problems = append(problems, p.Name)
		}
		return nil
	}}
	if err := question.Relay(t.Context(), m.dial("control"), "this", ask); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(items) != "[a id-of-a x1 a id-of-a x2 a id-of-a x3]" || fmt.Sprint(problems) != "[old]" {
		t.Errorf("%v, %v", items, problems)
	}
	if err := question.Relay(t.Context(), m.dial("id-of-a"), "this", ask); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a proxy may ask: %v", err)
	}
	if err := question.Relay(t.Context(), m.dial("control"), "that", ask); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("who is not meant answers: %v", err)
	}
	items, problems = nil, nil
	ask.Only = question.Only{"old"}
	if err := question.Relay(t.Context(), m.dial("control"), "this", ask); err != nil || len(items) != 0 || len(problems) != 1 {
		t.Errorf("%v, %v, %v", items, problems, err)
	}
	ask.Kind, ask.Only = "own", nil
	if err := question.Relay(t.Context(), m.dial("control"), "this", ask); err != nil || fmt.Sprint(items) != "[  x1   x2   x3]" {
		t.Errorf("the control plane's own answer: %q, %v", items, err)
	}
	ask.Only = make(question.Only, 1000)
	if err := question.Relay(t.Context(), m.dial("control"), "this", ask); status.Code(err) != codes.InvalidArgument {
		t.Errorf("too many names: %v", err)
	}
}

// Who does not answer in time is named, and what others have said is there.
func TestWhoIsLateIsNamed(t *testing.T) {
	m := newMesh(t)
	stopped := make(chan struct{})
	m.proxy("late", question.Answerers{"k": answer(func(ctx context.Context, _ string, _ func(...[]byte) error) error {
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	})})
	m.proxy("quick", question.Answerers{"k": three})
	items, problems := m.gather(question.Ask{Kind: "k", Within: 500 * time.Millisecond})
	if len(problems) != 1 || problems[0] != "late: it has not answered in time" || len(items) > 3 {
		t.Errorf("%v, %v", items, problems)
	}
	<-stopped
}
