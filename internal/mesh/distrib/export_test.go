package distrib

// Pending is how many bytes of endpoints wait to be sent.
func (s *Server) Pending() (n int64) {
	s.each(func(x *session) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, r := range x.todo.endpoints {
			n += int64(len(r.Body))
		}
	})
	return n
}
