package upstream

import "github.com/gridway/gridway/internal/wire/netx"

// watch lets a connection that its peer ends while it is idle be closed at once.
// Otherwise it would keep its descriptor until somebody wants to use it.
func (e *Endpoint) watch(conn *netx.Conn) {
	conn.OnEnded(func() { e.closeEnded(conn) })
}

// closeEnded leaves a connection alone that is in use: who uses it finds out.
// It runs on the goroutine of a loop, which close_notify might block.
func (e *Endpoint) closeEnded(conn *netx.Conn) {
	if e.idle.Remove(conn) {
		conn.Kill()
		e.cluster.slots.Release()
	}
}

// keep makes a connection idle, or closes it; it is false then.
func (e *Endpoint) keep(conn *netx.Conn, now int64) bool {
	if !e.idle.Push(&e.cluster.rules, conn, now) {
		e.Drop(conn)
		return false
	}
	// The end may have been told just before, when it was not idle yet.
	if conn.Ended() {
		e.closeEnded(conn)
		return false
	}
	return true
}
