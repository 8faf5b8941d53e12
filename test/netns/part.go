package netns

import (
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Part has the network lose all that goes between the host and others, which each go on
// to reach everybody else. Without others nothing is lost any more. Connections notice
// nothing but silence.
func (h *Host) Part(others ...*Host) {
	h.t.Helper()
	addresses := make([]net.HardwareAddr, len(others))
	for i, o := range others {
		addresses[i] = o.hardware()
	}
	h.net.hub.do(func() { h.part(addresses) })
}

// hardware is the address of the host's link.
func (h *Host) hardware() (a net.HardwareAddr) {
	h.t.Helper()
	h.Do(func() {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			h.t.Errorf("%s: %v", h.Name, err)
			return
		}
		a = i.HardwareAddr
	})
	return a
}

// The places of addresses in a frame (IEEE 802.3 §3.1).
const (
	frameTo   = 0
	frameFrom = 6
)

func (h *Host) part(others []net.HardwareAddr) {
	conn, err := nftables.New()
	if err != nil {
		h.t.Errorf("%s: %v", h.Name, err)
		return
	}
	table := &nftables.Table{Name: "part_" + h.port, Family: nftables.TableFamilyNetdev}
	conn.AddTable(table)
	conn.DelTable(table) // what was there before
	if len(others) > 0 {
		conn.AddTable(table)
		from := h.chain(conn, table, "from", nftables.ChainHookIngress)
		to := h.chain(conn, table, "to", nftables.ChainHookEgress)
		for _, a := range others {
			conn.AddRule(&nftables.Rule{Table: table, Chain: from, Exprs: dropFrames(frameTo, a)})
			conn.AddRule(&nftables.Rule{Table: table, Chain: to, Exprs: dropFrames(frameFrom, a)})
		}
	}
	if err := conn.Flush(); err != nil {
		h.t.Errorf("%s: %v", h.Name, fmt.Errorf("lose what others send: %w", err))
	}
}

// chain sees what the switch gets from the host, or gives to it.
func (h *Host) chain(conn *nftables.Conn, table *nftables.Table, name string, hook *nftables.ChainHook) *nftables.Chain {
	return conn.AddChain(&nftables.Chain{
		Name: name, Table: table, Type: nftables.ChainTypeFilter, Device: h.port, Hooknum: hook, Priority: nftables.ChainPriorityFilter,
	})
}

func dropFrames(offset uint32, address net.HardwareAddr) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseLLHeader, Offset: offset, Len: uint32(len(address))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}
