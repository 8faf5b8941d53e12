package netns

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Impairment is what is wrong with a host's link, in both directions.
type Impairment struct {
	// Loss is the share of packets that are lost, from 0 to 1.
	Loss float64
	// Delay is added to each packet, in each direction, by the test's process: not every
	// kernel can do it.
	Delay time.Duration
}

// Impair changes the host's link; the zero value makes it whole again.
func (h *Host) Impair(i Impairment) {
	h.t.Helper()
	// Loss is by nftables, which has it wherever namespaces can be captured in.
	h.net.hub.do(func() { h.lose(i.Loss) })
	if err := h.delay(i.Delay); err != nil {
		h.t.Fatal(err)
	}
}

// lose drops a share of what the switch gets from the host and gives to it.
func (h *Host) lose(share float64) {
	conn, err := nftables.New()
	if err != nil {
		h.t.Errorf("%s: %v", h.Name, err)
		return
	}
	table := &nftables.Table{Name: "loss_" + h.port, Family: nftables.TableFamilyNetdev}
	conn.AddTable(table)
	conn.DelTable(table) // what was there before
	if share > 0 {
		conn.AddTable(table)
		for name, hook := range map[string]*nftables.ChainHook{"from": nftables.ChainHookIngress, "to": nftables.ChainHookEgress} {
			chain := h.chain(conn, table, name, hook)
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
				&expr.Numgen{Register: 1, Type: numgenRandom, Modulus: math.MaxUint32},
				&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
				&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, uint32(share*math.MaxUint32))},
				&expr.Verdict{Kind: expr.VerdictDrop},
			}})
		}
	}
	if err := conn.Flush(); err != nil {
		h.t.Errorf("%s: %v", h.Name, fmt.Errorf("lose packets: %w", err))
	}
}

// numgenRandom is NFT_NG_RANDOM of linux/netfilter/nf_tables.h.
const numgenRandom = 1
