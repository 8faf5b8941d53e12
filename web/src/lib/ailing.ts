import type { Trouble } from '../api/schema.gen'
import type { Matter } from './attention'
import { count, plural, span } from './format'
import { clusterOf, short } from './names'
import { to } from './router'

/** placeOf is who a proxy is: "default/orders/127.0.0.1:24885" is a sidecar; other names are of this process. */
export function placeOf(proxy?: string): string {
  const parts = proxy?.split('/') ?? []
  if (parts.length !== 3) return 'the front door'
  return parts[0] === 'node' ? `node ${parts[1]}` : short({ kind: '', namespace: parts[0]!, name: parts[1]! })
}

/** seenBy names those whose proxies see a trouble; empty is that there is this process alone. */
export function seenBy(t: Pick<Trouble, 'proxies' | 'seenBy'>): string {
  const places = [...new Set((t.proxies ?? []).map(placeOf))].sort()
  if (!places.length) return ''
  const named = places.slice(0, 3).join(', ')
  const all = plural(t.seenBy, 'proxy', 'proxies')
  if (places.length > 3) return `${named} and others, ${all} in all`
  return t.seenBy > places.length ? `${named} (${all})` : named
}

const at = (t: Trouble): string => {
  const who = seenBy(t)
  return who ? `At ${who}. ` : ''
}

const times = (n: number): string => (n === 1 ? 'once' : n === 2 ? 'twice' : `${count(n)} times`)

const lasted = (t: Trouble, now: number): string => span(Math.max(1, ((t.over ? Date.parse(t.over) : now) - Date.parse(t.since)) / 1000))

// The cluster of a workload is its sidecar's way to the program itself.
const linkOf = (t: Trouble): string => to('services', t.cluster.replace(/^Workload\//, 'Service/'))

/** whatOf says in a few words what is not well. */
export function whatOf(t: Trouble): string {
  switch (t.kind) {
    case 'breaker':
      return t.over ? 'breaker was open' : `breaker ${t.detail}`
    case 'full':
      return `${plural(t.times ?? 0, 'request')} refused at a limit`
    case 'ejected':
      return t.detail ? `ejected: ${t.detail}` : 'ejected'
    case 'unhealthy':
      return 'fails its health check'
  }
  return t.kind
}

/** ailingOf are matters of clusters, as this process and the proxies of its mesh see them. */
export function ailingOf(troubles: Trouble[], now: number): Matter[] {
  const list: Matter[] = []
  const out = new Map<string, Trouble[]>()
  for (const t of troubles) {
    const group = `${t.over ? 'was' : 'is'} out ${t.cluster}`
    if (t.endpoint) out.set(group, [...(out.get(group) ?? []), t])
    else list.push(t.kind === 'full' ? fullOf(t) : breakerOf(t, now))
  }
  for (const [key, group] of out) list.push(endpointsOf(key, group))
  return list
}

function breakerOf(t: Trouble, now: number): Matter {
  const matter = { key: `breaker ${t.cluster}`, link: linkOf(t) }
  const name = short(clusterOf(t.cluster))
  const often = `It opened ${times(t.times ?? 1)} in ${lasted(t, now)}`
  if (t.over) return { ...matter, tone: 'warn', since: t.over, what: `The circuit breaker of ${name} was open`, why: `${at(t)}${often}, and is closed now.` }
  const open = t.detail === 'open'
  return {
    ...matter, tone: open ? 'bad' : 'warn', since: t.since, what: `The circuit breaker of ${name} is ${t.detail}`,
    why: `${at(t)}${(t.times ?? 0) > 1 ? `${often}. ` : ''}${open ? 'Requests are refused until a probe succeeds.' : 'A few requests are let through to see whether it answers.'}`,
  }
}

const fullOf = (t: Trouble): Matter => ({
  key: `full ${t.cluster}`, link: linkOf(t), tone: 'warn', since: t.over ?? t.since, what: `${plural(t.times ?? 0, 'request')} to ${short(clusterOf(t.cluster))} found its pools full`,
  why: `${at(t)}They were refused at a limit of requests or connections.`, remedy: 'More endpoints, or higher limits in the circuitBreaker of its TrafficPolicy.',
})

/** endpointsOf is the matter of endpoints of one cluster that are out, or were. */
function endpointsOf(key: string, group: Trouble[]): Matter {
  const [t] = group as [Trouble]
  const n = new Set(group.map((x) => x.endpoint)).size
  const all = Math.max(n, ...group.map((x) => x.endpoints ?? 0))
  const is = t.over ? (n === 1 ? 'was' : 'were') : n === 1 ? 'is' : 'are'
  const [what, tone]: [string, Matter['tone']] = t.over ? [`: ${whatOf(t)}, and is back`, 'info'] : [`: ${whatOf(t)}`, n >= all ? 'bad' : 'warn']
  return { key, link: linkOf(t), since: t.over ?? t.since, tone, what: `${plural(n, 'endpoint')} of ${all} of ${short(clusterOf(t.cluster))} ${is} out`, why: `${at(t)}${t.endpoint}${what}.` }
}
