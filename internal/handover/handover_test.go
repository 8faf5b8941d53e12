package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// giver is one that offers a few sockets of its own.
type giver struct {
	*Giver
	path    string
	tcp     []net.Listener
	yields  chan Yielded
	offers  int
	done    int
	refusal error
	end     func()
}

func newGiver(t *testing.T, sockets int, change ...func(*GiverOptions)) *giver {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &giver{path: filepath.Join(dir, "upgrade"), yields: make(chan Yielded, 1)}
	offer := &Offer{SessionKey: []byte("key"), Done: func() { g.done++ }}
	for i := range sockets {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		g.tcp = append(g.tcp, l)
		offer.Sockets = append(offer.Sockets, Socket{SocketID{RoleListener, fmt.Sprint("listener ", i)}, l.(*net.TCPListener)})
	}
	o := GiverOptions{
		Version: "v1", Path: g.path, Connections: func() int { return 7 },
		Offer: func() (*Offer, error) { g.offers++; return offer, g.refusal },
		Yield: func(y Yielded) { g.yields <- y },
	}
	for _, f := range change {
		f(&o)
	}
	if g.Giver, err = NewGiver(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		g.Serve(ctx)
		close(ended)
	}()
	g.end = func() {
		cancel()
		<-ended
		g.Release()
	}
	t.Cleanup(g.end)
	return g
}

// reach connects to a giver that serves already.
func (g *giver) reach(t *testing.T) *Taker {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		g.mu.Lock()
		serving := g.serving
		g.mu.Unlock()
		if serving {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not serve")
		}
	}
	k, err := Reach(context.Background(), g.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// goesOn takes over successfully, which shows that nothing is left of a failure.
func (g *giver) goesOn(t *testing.T) {
	t.Helper()
	var k *Taker
	for end := time.Now().Add(patience); ; { // the giver may still notice that the last one ended
		k = g.reach(t)
		err := k.Take("v2")
		if err == nil {
			break
		}
		k.Close()
		if time.Now().After(end) || !strings.Contains(err.Error(), "under way") {
			t.Fatal(err)
		}
	}
	taken := []SocketID{{RoleListener, "listener 0"}, {RoleControl, g.path}}
	kept := k.Listener(RoleListener, "listener 0")
	control := k.Listener(RoleControl, g.path)
	if kept == nil || control == nil {
		t.Fatal("sockets are missing")
	}
	defer kept.Close()
	defer control.Close()
	if err := errors.Join(k.Ready(), k.Serving(taken)); err != nil {
		t.Fatal(err)
	}
	y := <-g.yields
	if y.Version != "v2" || y.PID != os.Getpid() || y.Child || fmt.Sprint(y.Taken) != fmt.Sprint(taken) {
		t.Errorf("%+v", y)
	}
	// The sockets are the same: what was dialled to one can be accepted from the other.
	c, err := net.Dial("tcp", g.tcp[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kept.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	accepted, err := kept.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()

	told := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		k.Follow(ctx, func(n int) {
			select {
			case told <- n:
			default:
			}
		})
		close(told)
	}()
	if n := <-told; n != 7 { // again: the first report has ended Serving
		t.Errorf("%d connections are left", n)
	}
	if _, err := g.Upgrade(context.Background()); err == nil {
		t.Error("a process that was replaced can be replaced again")
	}
	g.end()
	for range told { // until the end was noticed
	}
	if _, err := os.Stat(g.path); err != nil {
		t.Error("the successor's path was removed:", err)
	}
	if g.offers != g.done+boolInt(g.refusal != nil) {
		t.Errorf("%d offers, %d ends", g.offers, g.done)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestHandover(t *testing.T) { newGiver(t, 1).goesOn(t) }

func TestManySockets(t *testing.T) {
	g := newGiver(t, 3*perPacket+1)
	k := g.reach(t)
	if err := k.Take("v2"); err != nil {
		t.Fatal(err)
	}
	if string(k.SessionKey) != "key" || k.Version != "v1" || k.PID != os.Getpid() {
		t.Errorf("%q %q %d", k.SessionKey, k.Version, k.PID)
	}
	all := k.Listeners(RoleListener)
	var taken []SocketID
	for i, l := range g.tcp {
		name := fmt.Sprint("listener ", i)
		if all[name] == nil || all[name].Addr().String() != l.Addr().String() {
			t.Fatalf("%s: %v", name, all[name])
		}
		all[name].Close()
		taken = append(taken, SocketID{RoleListener, name})
	}
	if err := errors.Join(k.Ready(), k.Serving(taken)); err != nil {
		t.Fatal(err)
	}
	if y := <-g.yields; len(y.Taken) != len(g.tcp) {
		t.Errorf("%d of %d were taken", len(y.Taken), len(g.tcp))
	}
	g.end()
	if _, err := os.Stat(g.path); err == nil {
		t.Error("a path that nobody took is left")
	}
}

// Whatever a successor does wrong, and whenever, the giver goes on and can be
// replaced by the next one.
func TestSuccessorsThatFail(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, k *Taker, g *giver){
		"says nothing":         func(_ *testing.T, k *Taker, _ *giver) { k.Close() },
		"ends with the offer":  func(t *testing.T, k *Taker, _ *giver) { mustTake(t, k); k.Close() },
		"tells why":            func(t *testing.T, k *Taker, _ *giver) { mustTake(t, k); k.Fail(errors.New("no")) },
		"ends when it is told": func(t *testing.T, k *Taker, _ *giver) { mustTake(t, k); mustReady(t, k); k.Close() },
		"tells why at the end": func(t *testing.T, k *Taker, _ *giver) { mustTake(t, k); mustReady(t, k); k.Fail(errors.New("no")) },
		"talks nonsense": func(t *testing.T, k *Taker, _ *giver) {
			mustTake(t, k)
			io.WriteString(k.c.conn, "nonsense")
			k.Close()
		},
		"skips a step": func(t *testing.T, k *Taker, _ *giver) { mustTake(t, k); k.Serving(nil); k.Close() },
		"speaks another version": func(t *testing.T, k *Taker, _ *giver) {
			k.c.send(&message{Kind: kindHello, Protocol: Protocol + 1})
			m, _, err := k.c.receive(patience)
			if err != nil || m.Kind != kindRefuse || !strings.Contains(m.Error, "restart it instead") {
				t.Errorf("%+v, %v", m, err)
			}
		},
		"is too slow": func(t *testing.T, k *Taker, g *giver) {
			mustTake(t, k)
			g.turn <- struct{}{} // once it is waited for no more
			<-g.turn
			var refused *RefusedError
			if err := k.Ready(); !errors.As(err, &refused) {
				t.Error("it may serve beside the other:", err)
			}
		},
		"is too slow to serve": func(t *testing.T, k *Taker, g *giver) {
			mustTake(t, k)
			mustReady(t, k)
			g.turn <- struct{}{}
			<-g.turn
			var refused *RefusedError
			if err := k.Serving(nil); !errors.As(err, &refused) {
				t.Error("it may serve beside the other:", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGiver(t, 2, func(o *GiverOptions) {
				if strings.HasPrefix(name, "is too slow") {
					o.Patience = 300 * time.Millisecond
				}
			})
			fail(t, g.reach(t), g)
			if len(g.yields) != 0 {
				t.Fatal("the giver believes that it was replaced")
			}
			g.goesOn(t)
		})
	}
}

func mustTake(t *testing.T, k *Taker) {
	t.Helper()
	if err := k.Take("v2"); err != nil {
		t.Fatal(err)
	}
}

func mustReady(t *testing.T, k *Taker) {
	t.Helper()
	if err := k.Ready(); err != nil {
		t.Fatal(err)
	}
}

func TestOneAtATime(t *testing.T) {
	g := newGiver(t, 1)
	first := g.reach(t)
	mustTake(t, first)
	var refused *RefusedError
	if err := g.reach(t).Take("v2"); !errors.As(err, &refused) || refused.Reason != "another upgrade is under way" {
		t.Error(err)
	}
	if _, err := Ask(context.Background(), g.path); err == nil {
		t.Error("asked for a second upgrade")
	}
	first.Close()
	g.goesOn(t)
}

func TestRefusals(t *testing.T) {
	g := newGiver(t, 1)
	g.refusal = errors.New("not now")
	var refused *RefusedError
	if err := g.reach(t).Take("v2"); !errors.As(err, &refused) || refused.Reason != "not now" {
		t.Error(err)
	}
	if _, err := Ask(context.Background(), g.path); err == nil || !strings.Contains(err.Error(), "cannot start its own successor") {
		t.Error(err)
	}
}

// A giver that is told to stop refuses who is not yet told to go, and lets
// others come to their end.
func TestCloseDuringAHandover(t *testing.T) {
	stopping := errors.New("it is being stopped")
	t.Run("before ready", func(t *testing.T) {
		g := newGiver(t, 1)
		k := g.reach(t)
		mustTake(t, k)
		g.Close(stopping)
		var refused *RefusedError
		if err := k.Ready(); !errors.As(err, &refused) || refused.Reason != stopping.Error() {
			t.Error(err)
		}
		if err := g.reach(t).Take("v2"); !errors.As(err, &refused) || refused.Reason != stopping.Error() {
			t.Error(err)
		}
	})
	t.Run("after go", func(t *testing.T) {
		g := newGiver(t, 1)
		k := g.reach(t)
		mustTake(t, k)
		mustReady(t, k)
		closed := make(chan struct{})
		go func() {
			g.Close(stopping)
			close(closed)
		}()
		if err := k.Serving(nil); err != nil {
			t.Error(err)
		}
		<-closed
		if len(g.yields) != 1 {
			t.Error("the giver does not know that it was replaced")
		}
	})
}

// A taker whose giver has died goes on alone.
func TestGiverThatEnds(t *testing.T) {
	g := newGiver(t, 1)
	k := g.reach(t)
	mustTake(t, k)
	l := k.Listener(RoleListener, "listener 0")
	defer l.Close()
	g.end()
	if err := errors.Join(k.Ready(), k.Serving(nil)); err != nil {
		t.Error(err)
	}
	k.Follow(context.Background(), func(int) {})
}

func TestSocketPath(t *testing.T) {
	g := newGiver(t, 0)
	if info, err := os.Stat(g.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if _, err := NewGiver(GiverOptions{Path: g.path}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error("two have one path:", err)
	}
	dir := filepath.Dir(g.path)
	stale, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(dir, "stale"), Net: network})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	again, err := NewGiver(GiverOptions{Path: filepath.Join(dir, "stale")})
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
	if _, err := Reach(context.Background(), filepath.Join(dir, "stale")); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewGiver(GiverOptions{Path: filepath.Join(dir, "file")}); err == nil {
		t.Error("a file was replaced")
	}
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewGiver(GiverOptions{Path: filepath.Join(open, "s")}); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Error("a folder that everybody may write:", err)
	}
}

func TestPathTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", maxPath))
	if _, err := listen(path); err == nil || !strings.Contains(err.Error(), "107 bytes at most") {
		t.Errorf("%v", err)
	}
}

func TestDefaultPath(t *testing.T) {
	env := map[string]string{"RUNTIME_DIRECTORY": "/run/a:/run/b"}
	get := func(name string) string { return env[name] }
	for admin, want := range map[string]string{
		"127.0.0.1:9901": "/run/a/upgrade-127.0.0.1-9901.sock",
		"[::1]:9901":     "/run/a/upgrade----1--9901.sock",
		"unix:/run/x":    "/run/a/upgrade-unix--run-x.sock",
		"off":            "",

		"unix:/" + strings.Repeat("x", 100): "", // a digest
	} {
		got := DefaultPath(admin, get)
		if len(admin) > 40 {
			if len(got) > 50 || got == DefaultPath(admin+"y", get) {
				t.Errorf("%s: %s", admin, got)
			}
		} else if got != want {
			t.Errorf("%s: %s, want %s", admin, got, want)
		}
	}
	delete(env, "RUNTIME_DIRECTORY")
	if a := DefaultPath("127.0.0.1:1", get); !strings.HasSuffix(a, "/upgrade-127.0.0.1-1.sock") || !filepath.IsAbs(a) {
		t.Error(a)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"kind":"offer","sockets":[{"role":"listener","name":":80"}],"more":true}`), 1)
	f.Add([]byte(`{"kind":"serving","sockets":[]}`), 0)
	f.Add([]byte(`{}`), 0)
	f.Fuzz(func(t *testing.T, b []byte, fds int) {
		m, err := decode(b, fds)
		if err != nil {
			return
		}
		if len(m.Sockets) > perPacket || m.Kind == kindOffer && len(m.Sockets) != fds || m.Kind != kindOffer && fds != 0 {
			t.Errorf("%d descriptors: %+v", fds, m)
		}
	})
}

// OCSP responses and key sets of any number go over, after sockets of any number; one that is
// too long for a message does not.
func TestStaples(t *testing.T) {
	for _, sockets := range []int{0, 1, perPacket, perPacket + 1} {
		var sent [][]byte
		for i := range 100 {
			sent = append(sent, bytes.Repeat([]byte{byte(i)}, 1000+i))
		}
		sent = append(sent, make([]byte, maxStaple), make([]byte, maxStaple+1), []byte("last"))
		g := newGiver(t, sockets, func(o *GiverOptions) {
			offer := o.Offer
			o.Offer = func() (*Offer, error) {
				out, err := offer()
				next := *out
				next.Staples, next.KeySets, next.TicketKeys = sent, sent[:sockets], []byte("tickets")
				return &next, err
			}
		})
		k := g.reach(t)
		if err := k.Take("v2"); err != nil {
			t.Fatal(err)
		}
		want := append(sent[:101:101], sent[102])
		if !slices.EqualFunc(k.Staples, want, bytes.Equal) || !slices.EqualFunc(k.KeySets, sent[:sockets], bytes.Equal) || string(k.TicketKeys) != "tickets" || len(k.sockets) != sockets+1 {
			t.Errorf("%d sockets: %d responses of %d, tickets %q, %d sockets", sockets, len(k.Staples), len(want), k.TicketKeys, len(k.sockets))
		}
		k.Close()
	}
}
