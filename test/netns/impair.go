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
	// Delay is added to each packet. It needs the kernel's module sch_netem; where
	// that is not there the test is skipped.
	Delay time.Duration
}

// Impair changes the host's link; the zero value makes it whole again.
func (h *Host) Impair(i Impairment) {
	h.t.Helper()
	// Loss is by nftables, which has it wherever namespaces can be captured in.
	h.net.hub.do(func() { h.lose(i.Loss) })
	for ns, device := range map[*namespace]string{h.ns: "eth0", h.net.hub: h.port} {
		if i.Delay == 0 {
			_ = ns.try("tc", "qdisc", "del", "dev", device, "root") // there may be none
			continue
		}
		if err := ns.try("tc", "qdisc", "replace", "dev", device, "root", "netem", "delay", i.Delay.String()); err != nil {
			h.t.Skipf("packets cannot be delayed here (sch_netem): %v", err)
		}
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
			chain := conn.AddChain(&nftables.Chain{
				Name: name, Table: table, Type: nftables.ChainTypeFilter, Device: h.port,
				Hooknum: hook, Priority: nftables.ChainPriorityFilter,
			})
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
