package netns

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// delayer stands between a host and the switch: the host's port is taken off the switch,
// another one takes its place, and frames go from one to the other by way of this process,
// which keeps each for a while. Frames stay in order. The kernel could do it by itself
// (sch_netem), where it has that module.
type delayer struct {
	ports [2]int // packet sockets
	over  chan struct{}
	work  sync.WaitGroup
}

const (
	// frameRoom is for a frame that the kernel has not cut yet (GSO), and for its header of
	// how to (struct virtio_net_hdr), which goes along.
	frameRoom = 1<<16 + 64
	// frames wait at most in one direction; what comes then is lost, as it would be in
	// sch_netem, whose limit this is.
	frames = 1000
	// look is how often a socket that is silent is left to see whether it is over.
	look = 50 * time.Millisecond
)

type frame struct {
	due     time.Time
	content []byte
}

// delay has frames of the host wait in each direction.
func (h *Host) delay(wait time.Duration) error {
	if h.undelay() {
		h.net.hub.must(h.t, "ip", "link", "del", h.port+"s")
		h.net.hub.must(h.t, "ip", "link", "set", h.port, "master", "br0")
	}
	if wait == 0 {
		return nil
	}
	for _, command := range []string{
		"ip link set " + h.port + " nomaster",
		"ip link add " + h.port + "s type veth peer name " + h.port + "d",
		"ip link set " + h.port + "s master br0 up",
		"ip link set " + h.port + "d up",
		"ip link set " + h.port + " promisc on",
		"ip link set " + h.port + "d promisc on",
	} {
		if err := h.net.hub.try(strings.Fields(command)...); err != nil {
			return err
		}
	}
	d := &delayer{over: make(chan struct{})}
	var err error
	h.net.hub.do(func() {
		for i, name := range []string{h.port, h.port + "d"} {
			if d.ports[i], err = packets(name); err != nil {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("delay frames: %w", err)
	}
	for i := range d.ports {
		waiting := make(chan frame, frames)
		d.work.Go(func() { d.read(d.ports[i], wait, waiting) })
		d.work.Go(func() { d.write(d.ports[1-i], waiting) })
	}
	h.delayed = d
	return nil
}

// undelay tells whether there was something to end.
func (h *Host) undelay() bool {
	if h.delayed == nil {
		return false
	}
	h.delayed.stop()
	h.delayed = nil
	return true
}

// packets opens a socket for all frames that come in at a device.
func packets(device string) (int, error) {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return 0, err
	}
	const all = uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00) // in the order of the network
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	wait := unix.NsecToTimeval(look.Nanoseconds())
	if err := errors.Join(
		unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(s, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}),
	); err != nil {
		return 0, errors.Join(err, unix.Close(s))
	}
	return s, nil
}

func (d *delayer) read(from int, wait time.Duration, waiting chan<- frame) {
	defer close(waiting)
	room := make([]byte, frameRoom)
	for {
		select {
		case <-d.over:
			return
		default:
		}
		n, err := unix.Read(from, room)
		if err != nil {
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
				continue
			}
			return // the device is gone, or down
		}
		select {
		case waiting <- frame{time.Now().Add(wait), append([]byte(nil), room[:n]...)}:
		default:
		}
	}
}

func (d *delayer) write(to int, waiting <-chan frame) {
	for f := range waiting {
		time.Sleep(time.Until(f.due))
		_, _ = unix.Write(to, f.content) // a device that is down loses it
	}
}

// stop ends the delayer. What waits is sent on.
func (d *delayer) stop() {
	close(d.over)
	d.work.Wait()
	for _, s := range d.ports {
		_ = unix.Close(s)
	}
}
