package replica_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// batch is a report of one request from cart to orders.
func batch(proxy string, sequence uint64) *signals.Batch {
	who := func(name string) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
	}
	e := signal.Edge{Key: signal.Key{Source: who("cart"), Destination: who("orders"), Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true}}
	e.Classes[2], e.Latency[3] = 1, 1
	return &signals.Batch{Proxy: proxy, Incarnation: 7, Sequence: sequence, Who: who("cart"), Length: 5 * time.Second, Edges: []signal.Edge{e}}
}

// count is how many requests a table knows of.
func count(t *testing.T, table *signals.Table) (requests uint64) {
	t.Helper()
	g, err := table.Graph(signals.Query{Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range g.Edges {
		requests += e.Count
	}
	return requests
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-late:
			t.Fatal(what)
		case <-time.After(time.Millisecond):
		}
	}
}

// What proxies of another control plane report is known here, each report once, also when
// the connection was lost for a while; who is not heard is named.
func TestFollower(t *testing.T) {
	authority := identitytest.New(t, "one.test")
	td := authority.TrustDomain()
	keys := keyring(authority, identity.Control(td))
	feed := replica.NewFeed(nil)
	own := question.Answerers{question.KindSignals: feed}
	address, stop := serve(t, keys, td, own)

	var mu sync.Mutex
	peers := []replica.Peer{{ID: "other", Control: "host/1", Address: address}}
	set := func(list ...replica.Peer) {
		mu.Lock()
		defer mu.Unlock()
		peers = list
	}
	dialer := replica.NewDialer(replica.DialerOptions{TLS: keys.ControlTLS(td), Peers: func() []replica.Peer {
		mu.Lock()
		defer mu.Unlock()
		return peers
	}})
	defer dialer.Close()
	table := signals.New(signals.Options{})
	follower := replica.NewFollower(replica.FollowerOptions{Dialer: dialer, Every: 5 * time.Millisecond, Take: func(b *signals.Batch) { table.Add(b) }})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { follower.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	eventually(t, "it is not followed", func() bool { return feed.Kept().Followers == 1 && len(follower.Unreached()) == 0 })
	for i := range uint64(3) {
		feed.Put(batch("a", i+1))
		feed.Put(batch("b", i+1))
	}
	eventually(t, "reports do not come", func() bool { return count(t, table) == 6 })

	stop()
	eventually(t, "who is gone is not named", func() bool {
		list := follower.Unreached()
		return len(list) == 1 && list[0].Control == "host/1" && list[0].Why != "" && !list[0].Since.IsZero()
	})
	feed.Put(batch("a", 4)) // which was not lost, as the feed keeps it
	address, _ = serve(t, keys, td, own)
	set(replica.Peer{ID: "other", Control: "host/1", Address: address})
	eventually(t, "what was reported in between does not come", func() bool { return count(t, table) == 7 })
	if list := follower.Unreached(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	feed.Put(batch("a", 5))
	eventually(t, "reports do not come again", func() bool { return count(t, table) == 8 })

	set()
	eventually(t, "who is gone for good is still named", func() bool { return len(follower.Unreached()) == 0 })
}

// A feed that nobody follows keeps nothing, and one that is followed no more than it may.
func TestFeedIsBounded(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	feed := replica.NewFeed(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	})
	ask := func(enough int) (items int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = feed.Answer(ctx, "", func(list ...[]byte) error {
			if items += len(list); items >= enough {
				cancel()
				return ctx.Err()
			}
			return nil
		})
		return items
	}
	feed.Put(batch("early", 1))
	ask(0)
	big := batch("big", 1)
	for i := range 2000 {
		e := big.Edges[0]
		e.Destination = signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: fmt.Sprint("a-service-of-a-long-name-", i)})
		big.Edges = append(big.Edges, e)
	}
	for i := range uint64(400) { // 40 MB
		big.Sequence = i + 1
		feed.Put(big)
	}
	feed.Put(batch("last", 1))
	if n := feed.Kept(); n.Bytes > 16<<20 || n.Reports < 10 || n.Reports > 399 {
		t.Errorf("%+v", n)
	}
	mu.Lock()
	now = now.Add(4 * time.Minute)
	mu.Unlock()
	feed.Put(batch("later", 1))
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	ask(1)
	feed.Put(batch("latest", 1))
	if n := feed.Kept(); n.Reports != 2 {
		t.Errorf("%+v", n)
	}
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	feed.Put(batch("unheard", 1))
	if n := feed.Kept(); n.Reports != 0 {
		t.Errorf("nobody follows, and it keeps %+v", n)
	}
}
