package loop

// Adopt makes a socket of a descriptor of any kind that does not block, and
// owns it from now on. It belongs to the loop of task t, or to any.
func (g *Group) Adopt(fd int, t *Task) (*Sock, error) {
	return g.register(fd, g.calmestFor(t), reading)
}
