// Package nameserver answers an application's questions to the DNS: names of
// services by itself, and all others by asking the resolvers of this host. It
// listens on loopback addresses alone, so that nobody can have it send answers to
// others.
//
// A Server owns its goroutines, and Close waits for them. Package app imports it;
// it imports nothing of Gridway.
package nameserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// Services finds services by name.
type Services interface {
	// Lookup is the service that a name means: in lower case, without a dot at the
	// end, up to 253 bytes of any kind. It may ask others within ctx. An error is that
	// nobody knows now; found is false for a name that means no service.
	Lookup(ctx context.Context, name string) (s Service, found bool, err error)
}

// Service is what is answered about one.
type Service struct {
	// Addresses are where connections to it go; of the family that has none there is
	// no data.
	Addresses []netip.Addr
	Ports     []Port
}

// Port of a service. A SRV question for "_NAME._tcp.SERVICE" finds it.
type Port struct {
	Name   string
	Number uint16
}

// Options of a Server.
type Options struct {
	// Addresses are where it listens, with UDP and TCP: loopback addresses.
	Addresses []netip.AddrPort
	Services  Services
	// ResolvConf names the file that names the resolvers of this host; empty is
	// /etc/resolv.conf. It is read again when it changes.
	ResolvConf string
	// Control prepares the sockets that resolvers are asked with; nil is nothing.
	Control func(network, address string, c syscall.RawConn) error
	// Asked, unless it is nil, is told of each question that a resolver was asked. Many
	// goroutines may call it at a time.
	Asked func(*Asked)
	// Log gets what goes wrong; nil discards it.
	Log *slog.Logger
}

// Asked is a question that a resolver was asked.
type Asked struct {
	// Resolver is its address.
	Resolver netip.Addr
	// Answered: it has, with Code, an RCODE; an extended one of EDNS is 16 or more.
	Answered bool
	Code     int
	Took     time.Duration
	// Stream: over TCP. Question and Answer are how long the messages are, in bytes.
	Stream           bool
	Question, Answer int
}

// Bounds of what the server does at a time.
const (
	// maxQuestions are under way at most; more are answered SERVFAIL.
	maxQuestions = 512
	// maxTCP is how many connections clients have at most.
	maxTCP = 64
	// answerWithin bounds the wait of a client, who asks again after five seconds.
	answerWithin = 5 * time.Second
)

// Stats count what became of questions.
type Stats struct {
	// Services were answered by ourselves, Forwarded by resolvers, Cached from memory.
	// Failed got no answer, and Refused were too many at a time.
	Services, Forwarded, Cached, Failed, Refused uint64
}

// Server answers questions until Close.
type Server struct {
	opts    Options
	log     *slog.Logger
	conf    *hostConf
	cache   cache
	servers []*dns.Server
	started bool // all of them
	places  chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	services, forwarded, cached, failed, refused atomic.Uint64
}

// Start begins to answer.
func Start(o Options) (*Server, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("answer names: there is no address to listen at")
	}
	s := newServer(o)
	for _, at := range o.Addresses {
		if !at.Addr().IsLoopback() {
			s.Close()
			return nil, fmt.Errorf("answer names: %s is no loopback address: others could have this host send them answers that they did not ask for", at)
		}
		if err := s.listen(at); err != nil {
			s.Close()
			return nil, fmt.Errorf("answer names at %s: %w", at, err)
		}
	}
	for _, server := range s.servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		s.running.Go(func() {
			if err := server.ActivateAndServe(); err != nil && s.ctx.Err() == nil {
				s.log.Error("names are not answered any more", "error", err)
			}
		})
		<-started // it can be shut down from now on
	}
	s.started = true
	return s, nil
}

func newServer(o Options) *Server {
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	s := &Server{opts: o, log: o.Log, places: make(chan struct{}, maxQuestions)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.conf = &hostConf{path: o.ResolvConf, own: o.Addresses}
	s.cache.init()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *Server) listen(at netip.AddrPort) error {
	packets, streams, err := listenBoth(at)
	if err != nil {
		return err
	}
	s.add(&dns.Server{PacketConn: packets, UDPSize: maxUDP})
	s.add(&dns.Server{Listener: &fewConns{Listener: streams, places: make(chan struct{}, maxTCP), over: s.ctx.Done()}})
	return nil
}

// listenBoth listens with UDP and TCP at the same port. One that the kernel chooses
// for one of them may be taken for the other: then it chooses again.
func listenBoth(at netip.AddrPort) (packets *net.UDPConn, streams *net.TCPListener, err error) {
	for range 10 {
		if packets, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
			return nil, nil, err
		}
		port := packets.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		streams, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.Addr(), port)))
		if err == nil {
			return packets, streams, nil
		}
		_ = packets.Close()
		if at.Port() != 0 {
			break
		}
	}
	return nil, nil, err
}

func (s *Server) add(server *dns.Server) {
	server.Handler = dns.HandlerFunc(s.handle)
	s.servers = append(s.servers, server)
}

// Addresses are where the server listens.
func (s *Server) Addresses() (all []netip.AddrPort) {
	for _, server := range s.servers {
		if server.PacketConn != nil {
			all = append(all, server.PacketConn.LocalAddr().(*net.UDPAddr).AddrPort())
		}
	}
	return all
}

// Stats are the counts since the start.
func (s *Server) Stats() Stats {
	return Stats{
		Services: s.services.Load(), Forwarded: s.forwarded.Load(), Cached: s.cached.Load(),
		Failed: s.failed.Load(), Refused: s.refused.Load(),
	}
}

// Close ends the server. Who waits for an answer gets none.
func (s *Server) Close() {
	s.cancel()
	for _, server := range s.servers {
		if s.started {
			_ = server.Shutdown() // waits for its goroutines
			continue
		}
		if server.PacketConn != nil {
			_ = server.PacketConn.Close()
		}
		if server.Listener != nil {
			_ = server.Listener.Close()
		}
	}
	s.running.Wait()
}

// handle answers one question. The library calls it on a goroutine for each.
func (s *Server) handle(w dns.ResponseWriter, q *dns.Msg) {
	_, stream := w.RemoteAddr().(*net.TCPAddr)
	var reply *dns.Msg
	select {
	case s.places <- struct{}{}:
		ctx, cancel := context.WithTimeout(s.ctx, answerWithin)
		reply = s.answer(ctx, q, stream)
		cancel()
		<-s.places
	default:
		s.refused.Add(1)
		reply = fail(q, dns.RcodeServerFailure)
	}
	fit(reply, q, stream)
	_ = w.WriteMsg(reply)
}

// fewConns bounds the connections of a listener: more wait in the kernel.
type fewConns struct {
	net.Listener
	places chan struct{}
	over   <-chan struct{}
}

func (l *fewConns) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.over:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

type placedConn struct {
	net.Conn
	leave func()
}

func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
