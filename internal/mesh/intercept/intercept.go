// Package intercept has the kernel give an application's connections to the
// sidecar beside it, by rules of nftables: what it opens to others is redirected
// to the outbound port, its questions to resolvers to the DNS responder, and what
// others open to its port to the inbound one. The application needs to know
// nothing of it.
//
// Rules belong to the netlink socket that made them: the kernel removes them
// when this process ends, however it ends. The package starts no goroutines.
// Package app imports it; it imports nothing of Gridway.
package intercept

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Mark is the mark (SO_MARK) of sockets that are never redirected: the sidecar's
// own. Its bits are "gw" in ASCII.
const Mark = 0x6777

// Config is what is redirected. Ports that are zero are not.
type Config struct {
	// ID names the table of the rules, which is called "gridway_ID": lower-case
	// letters, digits and "_", 40 at most. Two sidecars of a host have two.
	ID string
	// From is whose connections are captured.
	From Source
	// Outbound is where connections of TCP to other hosts go, at 127.0.0.1 and ::1.
	Outbound uint16
	// DNS is where questions to resolvers go (port 53 of any address, UDP and TCP), at
	// 127.0.0.1 and ::1.
	DNS uint16
	// Inbound are ports of the application; what other hosts open to them goes to
	// another port of the address that they named.
	Inbound []Redirect
	// Except are networks, ports and users whose connections stay as they are.
	Except Except
}

// Redirect is one port that stands for another.
type Redirect struct{ From, To uint16 }

// Except is what stays as it is, beside connections to addresses of this host and
// those of sockets with Mark. Questions to resolvers are not excepted by it.
type Except struct {
	Networks []netip.Prefix
	Ports    []uint16
	UIDs     []uint32
}

// MaxExceptions bounds the rules that each connection has to pass.
const MaxExceptions = 256

var validID = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

func (c *Config) valid() error {
	if !validID.MatchString(c.ID) {
		return fmt.Errorf("%q cannot name rules: use lower-case letters, digits and _, 40 at most", c.ID)
	}
	if n := len(c.Except.Networks) + len(c.Except.Ports) + len(c.Except.UIDs); n > MaxExceptions {
		return fmt.Errorf("%d exceptions are too many: each connection has to pass them, and %d are the most", n, MaxExceptions)
	}
	if c.Outbound == 0 && c.DNS == 0 && len(c.Inbound) == 0 {
		return errors.New("nothing is to be redirected: there is no outbound, inbound or DNS port")
	}
	for _, r := range c.Inbound {
		if r.From == 0 || r.To == 0 || r.From == r.To {
			return fmt.Errorf("port %d cannot be redirected to port %d", r.From, r.To)
		}
	}
	return c.From.valid()
}

// Rules are in force until Close, or until this process ends.
type Rules struct {
	conn  *nftables.Conn
	table *nftables.Table
	// owned: the table goes with the socket. made: there is one.
	owned, made bool
}

func tableName(id string) string { return "gridway_" + id }

// Install puts the rules in force, all at once, in the network namespace of the
// calling thread. Connections that are open already are not touched.
func Install(c Config) (*Rules, error) {
	if err := c.valid(); err != nil {
		return nil, fmt.Errorf("capture connections: %w", err)
	}
	r := &Rules{table: &nftables.Table{Name: tableName(c.ID), Family: nftables.TableFamilyINet}}
	if err := r.install(&c); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("capture connections: %w", explain(err))
	}
	return r, nil
}

func (r *Rules) install(c *Config) (err error) {
	var raw *netlink.Conn
	r.conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(conn *netlink.Conn) error {
		raw = conn
		return nil
	}))
	if err != nil {
		return err
	}
	if err := r.alone(c.From.kind == fromNamespace); err != nil {
		return err
	}
	if r.owned, err = ownTable(raw, r.table.Name); err != nil {
		return err
	}
	r.made = true
	if !r.owned {
		r.conn.AddTable(r.table)
	}
	return r.put(c)
}

func (r *Rules) put(c *Config) error {
	c.outbound(r.conn, r.table)
	c.inbound(r.conn, r.table)
	return r.conn.Flush()
}

// Replace has other rules of the same ID in force, all at once: no connection meets
// neither the old nor the new ones. After an error the old ones are in force.
func (r *Rules) Replace(c Config) error {
	err := c.valid()
	if err == nil && tableName(c.ID) != r.table.Name {
		err = fmt.Errorf("rules of %s cannot replace %s", c.ID, r.table.Name)
	}
	if err == nil {
		r.conn.FlushTable(r.table)
		err = r.put(&c)
	}
	if err != nil {
		return fmt.Errorf("capture connections: %w", explain(err))
	}
	return nil
}

// alone refuses to take the rules of another process, and to capture a whole
// network namespace if somebody captures in it already: of two redirects the first
// decides, and that would be chance.
func (r *Rules) alone(everything bool) error {
	tables, err := r.conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	for _, t := range tables {
		switch {
		case t.Name == r.table.Name: // left behind, or somebody's
			r.conn.DelTable(t)
			if err := r.conn.Flush(); err != nil {
				return fmt.Errorf("another process has the rules %s: give these another ID", t.Name)
			}
		case everything && strings.HasPrefix(t.Name, "gridway_"):
			return fmt.Errorf("another sidecar captures connections in this network namespace (table %s), so that all of them cannot be this one's; "+
				"capture those of a cgroup or of a user, or give the application a network namespace of its own", t.Name)
		}
	}
	return nil
}

// Close takes the rules out of force. What was redirected goes on.
func (r *Rules) Close() error {
	if r.conn == nil {
		return nil
	}
	var err error
	if r.made { // also if it would go with the socket: a process just being started holds that, too
		r.conn.DelTable(r.table)
		err = r.conn.Flush()
	}
	return errors.Join(err, r.conn.CloseLasting())
}

// Table names the rules, as "nft list table inet NAME" shows them.
func (r *Rules) Table() string { return r.table.Name }

// Lasting tells whether the rules stay if this process is killed, until one of the
// same ID replaces them: kernels before 5.12 know no owners of tables.
func (r *Rules) Lasting() bool { return !r.owned }

// explain says what to do about errors of the kernel.
func explain(err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; it needs CAP_NET_ADMIN in the user namespace of this network namespace: run as root or with that capability "+
			"(systemd: AmbientCapabilities=CAP_NET_ADMIN), or reach the mesh without it, by HTTP_PROXY or by upstream ports", err)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPROTONOSUPPORT):
		return fmt.Errorf("%w; the kernel lacks a part of nf_tables: 5.2 or newer is needed, with the modules nft_chain_nat, nft_redir, nft_fib_inet "+
			"and, to capture a cgroup, nft_socket (5.13)", err)
	}
	return err
}

// tableOwner is NFT_TABLE_F_OWNER of linux/netfilter/nf_tables.h: the table goes
// with the socket that has made it, and nobody else changes it.
const tableOwner = 2

// ownTable makes a table that ends with the socket of conn; owned is false if the
// kernel knows no such tables.
func ownTable(conn *netlink.Conn, name string) (owned bool, err error) {
	data, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(name), 0)},
		{Type: unix.NFTA_TABLE_FLAGS, Data: []byte{0, 0, 0, tableOwner}},
	})
	if err != nil {
		return false, err
	}
	message := func(kind netlink.HeaderType, flags netlink.HeaderFlags, family byte, resource uint16, data []byte) netlink.Message {
		// struct nfgenmsg: family, version, and a number in the order of the network
		head := []byte{family, unix.NFNETLINK_V0, byte(resource >> 8), byte(resource)}
		return netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | flags}, Data: append(head, data...)}
	}
	_, err = conn.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl|netlink.Acknowledge, unix.NFPROTO_INET, 0, data),
		message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	if err != nil {
		return false, err
	}
	switch _, err = conn.Receive(); {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EINVAL):
		return false, nil
	}
	return false, err
}
