package compile

import (
	"slices"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// patchRoutes compiles the routes that changed and leaves all others as they
// are, without looking at them. That is enough if nothing changed but routes
// of requests in their places, and none of these, before or now, has more to say than its
// own compiled form: problems, losses of policies, other listeners or other
// clusters. Nearly every edit of a large configuration is like this. Otherwise
// ok is false, and all routes have to be gone through.
func (c *compiler) patchRoutes() (routes []*ir.Route, clusters []*ir.Cluster, ok bool) {
	if c.prev == nil || !c.prev.plain || c.changes.structure || !c.changes.inPlace || len(c.prev.routes) != len(c.prev.forms) {
		return nil, nil, false
	}
	objects := c.requestRoutes()
	if len(objects) != len(c.prev.routes) {
		return nil, nil, false
	}
	states := slices.Clone(c.prev.routes)
	routes = slices.Clone(c.prev.forms)
	for _, o := range c.changes.routes {
		i, found := slices.BinarySearchFunc(objects, o.Key, func(x *store.Object, k store.Key) int { return compareKeys(x.Key, k) })
		if !found || states[i].object.Key != o.Key {
			return c.unpatched()
		}
		before := states[i]
		now := c.compileRoute(o, before)
		if now == nil || !now.plain() || !before.alike(now) || !c.sameClusters(before, now) {
			return c.unpatched()
		}
		states[i], routes[i] = now, now.forms[0]
	}
	if len(c.fresh) > 0 {
		return c.unpatched()
	}
	for i, x := range c.sections {
		x.attachments, x.attached = c.prev.attachments[i], c.prev.accepted[i]
		x.streams = c.prev.streamed[i]
	}
	c.next.streams, c.next.streamed = c.prev.streams, c.prev.streamed
	for _, rs := range c.next.streams {
		c.say(rs.status())
	}
	for _, m := range c.prev.settled {
		c.settle(m)
	}
	c.next.routes, c.next.settled, c.next.plain = states, c.prev.settled, true
	c.next.attachments, c.next.accepted = c.prev.attachments, c.prev.accepted
	c.next.clusters, c.next.ordered = c.prev.clusters, c.prev.ordered
	c.next.services, c.next.meshRoutes = c.prev.services, c.prev.meshRoutes
	for _, ss := range c.next.services {
		c.settleService(ss)
	}
	c.patched = c.prevMesh != nil
	return routes, c.prev.every, true
}

// unpatched forgets what the attempt found.
func (c *compiler) unpatched() ([]*ir.Route, []*ir.Cluster, bool) {
	clear(c.used)
	clear(c.fresh)
	return nil, nil, false
}

// plain tells whether a route is its one form and nothing else.
func (rs *routeState) plain() bool {
	return len(rs.forms) == 1 && !rs.missing && rs.fallback == nil && len(rs.problems)+len(rs.shared)+len(rs.losses) == 0
}

// alike tells whether two versions of a route are attached alike, under the
// same policies. If so, now takes the settings over, which policies know.
func (rs *routeState) alike(now *routeState) bool {
	if !slices.Equal(rs.accepted, now.accepted) || len(rs.settings) != len(now.settings) ||
		!slices.EqualFunc(rs.attachments, now.attachments, func(a, b attachment) bool {
			return a.section == b.section && a.ir.Route == b.ir.Route && slices.Equal(a.ir.Hostnames, b.ir.Hostnames)
		}) || !slices.Equal(rs.mesh, now.mesh) {
		return false
	}
	for i, was := range rs.settings {
		is := now.settings[i]
		if !slices.EqualFunc(was.winners, is.winners, sameBound) ||
			!slices.EqualFunc(was.losses, is.losses, func(a, b boundLoss) bool { return sameBound(a.bound, b.bound) && a.loss == b.loss }) {
			return false
		}
	}
	now.settings = rs.settings
	return true
}

func sameBound(a, b bound) bool { return a.policy.object == b.policy.object && a.target == b.target }

// sameClusters tells whether the clusters in use stay what they are when a
// route takes the place of another.
func (c *compiler) sameClusters(before, now *routeState) bool {
	for _, cs := range now.clusters {
		if c.prev.clusters[cs.ir.Name] != cs {
			return false
		}
	}
	for _, cs := range before.clusters {
		uses := func(rs *routeState) bool { return rs != before && slices.Contains(rs.clusters, cs) }
		if !slices.Contains(now.clusters, cs) && !slices.ContainsFunc(c.prev.routes, uses) && !slices.ContainsFunc(c.prev.streams, uses) &&
			!slices.ContainsFunc(c.prev.services, func(ss *serviceState) bool { return uses(ss.routeState) }) {
			return false
		}
	}
	return true
}
