package loop

import "syscall"

// Adopt makes a socket of a descriptor of any kind that does not block, and
// owns it from now on. It belongs to the loop of task t, or to any.
func (g *Group) Adopt(fd int, t *Task) (*Sock, error) {
	return g.register(fd, g.calmestFor(t), reading)
}

// Leave ends the events of the socket in favour of another process that has it
// too, which closing it would not do. It can still be written to.
func (s *Sock) Leave() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.control(s.loop.Load(), syscall.EPOLL_CTL_DEL, 0)
}
