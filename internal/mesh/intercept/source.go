package intercept

import (
	"errors"
	"fmt"
)

type sourceKind uint8

const (
	fromNothing sourceKind = iota
	fromCgroup
	fromUser
	fromNamespace
)

// Source is whose connections are captured.
type Source struct {
	kind  sourceKind
	uid   uint32
	id    uint64
	level uint32
}

// FromCgroup captures what processes of a cgroup open, and those of cgroups below
// it. It is the most exact source, and several sidecars on a host do not meet.
func FromCgroup(c *Cgroup) Source { return Source{kind: fromCgroup, id: c.id, level: c.level} }

// FromUser captures what processes of a user open, of whom the sidecar must not be one.
func FromUser(uid uint32) Source { return Source{kind: fromUser, uid: uid} }

// FromNamespace captures all that is opened in this network namespace by sockets
// without Mark: for one that the application has to itself, such as a container's.
func FromNamespace() Source { return Source{kind: fromNamespace} }

func (s Source) valid() error {
	switch {
	case s.kind == fromNothing:
		return errors.New("it is not said whose connections: those of a cgroup, of a user, or of the network namespace")
	case s.kind == fromCgroup && s.level == 0:
		return errors.New("the root of cgroups has everybody's connections: use one below it")
	}
	return nil
}

// String says whose connections they are.
func (s Source) String() string {
	switch s.kind {
	case fromCgroup:
		return fmt.Sprintf("cgroup %d", s.id)
	case fromUser:
		return fmt.Sprintf("user %d", s.uid)
	case fromNamespace:
		return "network namespace"
	}
	return "nobody"
}
