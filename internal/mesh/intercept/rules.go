package intercept

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// dnsPort is where resolvers are asked.
const dnsPort = 53

// outbound adds the chain that sees what this host opens, and the one that decides
// about what comes from the source.
func (c *Config) outbound(conn *nftables.Conn, table *nftables.Table) {
	if c.Outbound == 0 && c.DNS == 0 {
		return
	}
	base := conn.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	captured := conn.AddChain(&nftables.Chain{Name: "captured", Table: table})
	add := func(chain *nftables.Chain, exprs ...[]expr.Any) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: join(exprs)})
	}
	add(base, meta(expr.MetaKeyMARK, native(Mark)), verdict(expr.VerdictReturn))
	add(base, c.From.match(), jump(captured.Name))

	if c.DNS != 0 {
		for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			add(captured, protocol(proto), destinationPort(dnsPort), redirect(c.DNS))
		}
	}
	if c.Outbound == 0 {
		return
	}
	add(captured, protocolNot(unix.IPPROTO_TCP), verdict(expr.VerdictReturn))
	for _, uid := range c.Except.UIDs {
		add(captured, meta(expr.MetaKeySKUID, native(uid)), verdict(expr.VerdictReturn))
	}
	add(captured, destinationIsOurs(), verdict(expr.VerdictReturn))
	for _, network := range c.Except.Networks {
		add(captured, destinationIn(network), verdict(expr.VerdictReturn))
	}
	for _, port := range c.Except.Ports {
		add(captured, destinationPort(port), verdict(expr.VerdictReturn))
	}
	add(captured, redirect(c.Outbound))
}

// inbound adds the chain that sees what other hosts open.
func (c *Config) inbound(conn *nftables.Conn, table *nftables.Table) {
	if len(c.Inbound) == 0 {
		return
	}
	base := conn.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	for _, r := range c.Inbound {
		conn.AddRule(&nftables.Rule{Table: table, Chain: base, Exprs: join([][]expr.Any{
			protocol(unix.IPPROTO_TCP), destinationPort(r.From), destinationIsOurs(), redirect(r.To),
		})})
	}
}

// match is true for packets of the source. It is positive: matches on sockets
// that do not apply end a rule, so that "is not" would be true of nobody.
func (s Source) match() []expr.Any {
	switch s.kind {
	case fromCgroup:
		return []expr.Any{
			&expr.Socket{Key: expr.SocketKeyCgroupv2, Level: s.level, Register: 1},
			equal(binary.NativeEndian.AppendUint64(nil, s.id)),
		}
	case fromUser:
		return meta(expr.MetaKeySKUID, native(s.uid))
	}
	return nil
}

func join(parts [][]expr.Any) (all []expr.Any) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

func meta(key expr.MetaKey, data []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(data)}
}

func protocol(proto byte) []expr.Any { return meta(expr.MetaKeyL4PROTO, []byte{proto}) }

func protocolNot(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{proto}},
	}
}

// destinationPort needs a rule that says the protocol: TCP and UDP have it in the
// same place.
func destinationPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, port)),
	}
}

// destinationIsOurs matches addresses of this host, loopback among them.
func destinationIsOurs() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		equal(native(unix.RTN_LOCAL)),
	}
}

// destinationIn matches addresses of a network, at their place in the headers of
// IPv4 (RFC 791 §3.1) and IPv6 (RFC 8200 §3).
func destinationIn(network netip.Prefix) []expr.Any {
	network = network.Masked()
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if network.Addr().Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	address := network.Addr().AsSlice()
	size := uint32(len(address))
	mask := make([]byte, size)
	for i := range network.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return append(meta(expr.MetaKeyNFPROTO, []byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: mask, Xor: make([]byte, size)},
		equal(address),
	)
}

func redirect(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}
