package join_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/vouch"
)

// hop is a proxy that is told who calls, and passes it on to the next one, if any.
type hop struct {
	*member
	r    *rotating
	v    *vouch.Voucher
	next *hop
}

// serves reads "ID TOKEN" lines, and answers what was wrong, here or further on.
func (h *hop) serves(c net.Conn) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		fault := h.judge(c.(*tls.Conn), lines.Text())
		if _, err := fmt.Fprintln(c, fault); err != nil {
			return
		}
	}
}

func (h *hop) judge(c *tls.Conn, line string) string {
	peer, err := h.k.VerifyPeer(c.ConnectionState().PeerCertificates)
	if err != nil {
		return err.Error()
	}
	id, token, _ := strings.Cut(line, " ")
	caller, fault := h.v.Verify([]byte(token), peer, []byte(id), h.r.clock())
	if fault != filter.FaultNone {
		return fmt.Sprintf("%s refuses what %s says: %s", h.k.Own(), peer, fault)
	}
	if caller.Consumer == nil || caller.Consumer.Name != "ada" {
		return fmt.Sprintf("%s takes ada for %+v", h.k.Own(), caller)
	}
	if h.next == nil {
		return ""
	}
	said, err := h.next.told(h.member, line)
	if err != nil {
		return err.Error()
	}
	return said
}

// told has a peer say something to the hop, over a connection of its own.
func (h *hop) told(by *member, line string) (string, error) {
	c, err := tls.Dial("tcp", h.l.Addr().String(), meshTLS(by.k))
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	said, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(said), err
}

// An edge's word about a caller goes over two hops while the edge's SVID is renewed
// dozens of times and the root of the mesh changes more than twice. What was signed before
// a change is passed on after it. None is refused.
func TestCallersWhileKeysRotate(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	enter := func(service string, next *hop) *hop {
		h := &hop{r: r, next: next}
		ready := make(chan struct{})
		h.member = r.enter(service, func(c net.Conn) {
			<-ready
			h.serves(c)
		})
		h.v = vouch.New(h.k)
		t.Cleanup(h.v.Close)
		close(ready)
		return h
	}
	ratings := enter("ratings", nil)
	front := enter("front", ratings)
	edge := enter("edge", nil)
	ada := &filter.Caller{Method: "keys", Consumer: &ir.Consumer{Namespace: "shop", Name: "ada"}}
	half := &ir.Vouching{Lifetime: 30 * time.Second}

	load := func(name string) func() error {
		var last string
		var at time.Time
		n := 0
		return func() error {
			n++
			id := fmt.Sprintf("%s-%d", name, n)
			now := r.clock()
			token, err := edge.v.Sign(ada, half, []byte(id), now)
			if err != nil {
				return err
			}
			asked := []string{id + " " + string(token)}
			if last != "" && now.Sub(at) < half.Lifetime {
				asked = append(asked, last) // an application that takes its time
			}
			last, at = asked[0], now
			for _, line := range asked {
				if said, err := front.told(edge.member, line); err != nil || said != "" {
					return errors.Join(err, errors.New(said))
				}
			}
			return nil
		}
	}
	made, failed := r.under([]*member{ratings.member, front.member, edge.member}, []time.Duration{20 * time.Second, 100 * time.Second}, load("a"), load("b"))
	if failed != nil || made < 200 {
		t.Errorf("%d requests, %v", made, failed)
	}
	if len(r.roots) < 3 {
		t.Errorf("%d roots have signed", len(r.roots))
	}
	counts := map[string]uint64{}
	ratings.v.Counts(func(result string, n uint64) { counts[result] = n })
	if counts["verified"] < uint64(made) || counts["remembered"] == 0 {
		t.Errorf("%v", counts)
	}
	t.Logf("%d requests, %d roots, at ratings %v", made, len(r.roots), counts)
}
