// Package declared is the workloads of a host that a node proxy stands before, as files of
// a folder declare them: which service each is, where it listens, which processes it is,
// and how to tell whether it is well.
//
// Folder.Run is its caller's goroutine; nothing else runs. The package knows files alone,
// and may be imported by member.
package declared

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// Workload is one declaration.
type Workload struct {
	Namespace, Service string
	// Name tells workloads of one service on a host apart.
	Name string
	// Address is where it listens on its host.
	Address netip.Addr
	Ports   []Port
	// Processes are those that it is.
	Processes Processes
	Health    Health
	Except    Except
	Labels    map[string]string
	Version   string
	// Weight is its share of the service's traffic, 1 to 65535.
	Weight uint32
	Zone   string
	// Where is the file, line and column of the declaration.
	Where string
}

// Port is one that a workload listens on. Protocol is an appProtocol of Kubernetes, or
// empty where it is to be found out.
type Port struct {
	Name     string
	Number   uint16
	Protocol string
}

// Processes tells those of a workload from others, by one of these.
type Processes struct {
	// Unit is a unit of systemd, Cgroup the path of a cgroup below the root, "/a/b".
	Unit, Cgroup string
	// User is a name or a number.
	User string
}

// String says which they are.
func (p Processes) String() string {
	switch {
	case p.Unit != "":
		return "unit " + p.Unit
	case p.Cgroup != "":
		return "cgroup " + p.Cgroup
	}
	return "user " + p.User
}

// Health is how it is found out whether a workload is well. The zero value is that it
// always is: one without ports, which nobody asks.
type Health struct {
	Port uint16
	// Path is asked for by HTTP: any status below 400 is well. Empty is that a
	// connection can be made.
	Path string
	// Interval is between two looks, Timeout bounds one.
	Interval, Timeout time.Duration
}

const (
	defaultInterval = 2 * time.Second
	defaultTimeout  = time.Second
)

// Key tells workloads of a host apart.
func (w *Workload) Key() string {
	if w.Name == "" {
		return w.Namespace + "/" + w.Service
	}
	return w.Namespace + "/" + w.Service + "/" + w.Name
}

func compare(a, b *Workload) int { return cmp.Compare(a.Key(), b.Key()) }

// absolute is a path as /proc/PID/cgroup has it.
func absolute(path string) string {
	path = strings.TrimPrefix(path, "/sys/fs/cgroup")
	return "/" + strings.Trim(path, "/")
}
