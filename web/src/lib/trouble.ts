import type { SignalsEdge as GraphEdge, SignalsGraph as Graph, SignalsNode as GraphNode, SignalsTraffic as Traffic, TraceSummary } from '../api/schema.gen'
import { placeOf } from './ailing'
import type { Matter } from './attention'
import { latency, percent, plural, span } from './format'
import { labelOf, nodeLink } from './nodes'
import { refOf, routeOf, short } from './names'

// Fewer failures than these are an accident, fewer requests than those no measure.
const leastFailures = 3
const leastRequests = 50
const milliseconds = 1e6

/** Before is how something went until the time that is looked at. */
interface Before {
  count: number
  errors: number
  p99: number
  seconds: number
}

/** before takes what is now out of what has been in a longer time, which ends now, too. */
function before(now: Traffic, long: Traffic | undefined, seconds: number): Before | undefined {
  const count = (long?.count ?? 0) - now.count
  if (!long || count < leastRequests || seconds < 60) return undefined
  const failures = Math.max(0, long.errors * long.count - now.errors * now.count)
  return { count, errors: Math.min(1, failures / count), p99: long.p99, seconds }
}

const against = (b: Before | undefined, of: (b: Before) => string): string => (b ? `against ${of(b)} in the ${span(b.seconds)} before` : 'with nothing before to compare it with')

const failuresOf = (t: Traffic): number => Math.round(t.errors * t.count)

/** failing is a share of errors that somebody should look at. */
export const failing = (t: Traffic): 'bad' | 'warn' | undefined => (failuresOf(t) < leastFailures || t.errors < 0.01 ? undefined : t.errors >= 0.05 ? 'bad' : 'warn')

/** slower tells of a p99 that has doubled, by more than what varies anyway. */
const slower = (t: Traffic, b: Before | undefined): boolean => b !== undefined && t.count >= leastRequests && b.p99 > 0 && t.p99 >= 2 * b.p99 && t.p99 - b.p99 >= 20 * milliseconds

/** troublesOf are services, and calls between them, that fail or have become slow; long is a graph of a longer time. */
export function troublesOf(now: Graph | undefined, long: Graph | undefined): Matter[] {
  if (!now) return []
  const seconds = long ? (Date.parse(now.from) - Date.parse(long.from)) / 1000 : 0
  const window = span((Date.parse(now.to) - Date.parse(now.from)) / 1000)
  const nodes = new Map((now.nodes ?? []).map((n) => [n.id, n]))
  const name = (id: string) => (nodes.has(id) ? labelOf(nodes.get(id)!) : id)
  const beforeOf = { node: byKey(long?.nodes ?? [], (n) => n.id), edge: byKey(long?.edges ?? [], edgeKey) }
  const edges = now.edges ?? []
  const list: Matter[] = []
  const told = new Set<string>()
  for (const n of now.nodes ?? []) {
    const b = before(n.in, beforeOf.node.get(n.id)?.in, seconds)
    const tone = failing(n.in)
    if (tone) {
      told.add(n.id)
      const callers = edges.filter((e) => e.destination === n.id && failuresOf(e) > 0).sort((x, y) => failuresOf(y) - failuresOf(x))
      list.push({ key: `fails ${n.id}`, tone, what: `${titled(n)} fails ${percent(n.in.errors)} of what it is asked`, why: `${plural(failuresOf(n.in), 'failure')} in ${window}, ${against(b, (x) => percent(x.errors))}. ${askedBy(callers.map((e) => `${name(e.source)} (${percent(e.errors)})`))}`, link: nodeLink(n) ?? graphLink(n) })
    } else if (slower(n.in, b)) list.push({ key: `slow ${n.id}`, tone: 'warn', what: `${titled(n)} has become slow`, why: `p99 ${latency(n.in.p99)} in ${window}, ${against(b, (x) => latency(x.p99))}.`, link: nodeLink(n) ?? graphLink(n) })
  }
  for (const e of edges) {
    const tone = failing(e)
    if (!tone || told.has(e.destination)) continue
    const b = before(e, beforeOf.edge.get(edgeKey(e)), seconds)
    list.push({ key: `edge ${edgeKey(e)}`, tone, what: `${name(e.source)} gets ${percent(e.errors)} errors from ${name(e.destination)}`, why: `${plural(failuresOf(e), 'failure')} in ${window}, ${against(b, (x) => percent(x.errors))}.`, link: `/graph?node=${encodeURIComponent(e.destination)}` })
  }
  return list
}

/** refusalsOf gathers what Gridway itself has answered, by reason and route. */
export function refusalsOf(traces: TraceSummary[], window: string): Matter[] {
  const groups = new Map<string, { first: TraceSummary; count: number; proxies: Set<string> }>()
  for (const t of traces) {
    if (!t.reason || !t.route) continue
    const key = `${t.reason} ${routeOf(t.route)}`
    const g = groups.get(key) ?? { first: t, count: 0, proxies: new Set() }
    g.count++
    g.proxies.add(placeOf(t.proxy))
    groups.set(key, g)
  }
  return [...groups].sort().map(([key, { first, count, proxies }]) => {
    const route = routeOf(first.route!)
    const on = short(refOf(route)).replace(/:\d+(\/inbound)?$/, '')
    return {
      key: `reason ${key}`, tone: first.denied ? 'info' : 'warn', link: `/traces?errors=true&route=${encodeURIComponent(route)}`,
      what: `${plural(count, 'request')} ${first.denied ? 'refused' : 'failed'} on the way to ${on}: ${first.reason}`,
      why: `In ${window}, at ${[...proxies].sort().join(', ')}.`,
    }
  })
}

const askedBy = (callers: string[]): string => (callers.length ? `Asked by ${callers.slice(0, 3).join(', ')}${callers.length > 3 ? ` and ${callers.length - 3} more` : ''}.` : '')

const titled = (n: GraphNode): string => (n.kind === 'edge' || n.kind === 'gateway' ? `The front door ${labelOf(n)}` : labelOf(n))

const graphLink = (n: GraphNode): string => `/graph?node=${encodeURIComponent(n.id)}`

export const edgeKey = (e: GraphEdge): string => `${e.id} ${e.protocol}`

function byKey<T>(list: T[], key: (x: T) => string): Map<string, T> {
  return new Map(list.map((x) => [key(x), x]))
}
