import { useSyncExternalStore } from 'react'
import type { MetricSnapshot } from '../api/schema.gen'

/** Points are values of one thing over time, oldest first. Times are seconds, latencies milliseconds. */
export interface Points {
  at: number[]
  requests: number[]
  errors: number[]
  p50: number[]
  p95: number[]
  p99: number[]
}

interface Sample {
  requests: number
  errors: number
  p50: number
  p95: number
  p99: number
}

// Ten minutes, at a sample every two seconds. A thousand names are followed at most.
const keep = 300
const most = 1000
const series = new Map<string, Points>()
const listeners = new Set<() => void>()
let version = 0
let last = 0

export const all = 'all'
export const ofRule = (route: string, rule: string): string => `rule ${route} ${rule}`
export const ofRoute = (route: string): string => `route ${route}`
export const ofCluster = (cluster: string): string => `cluster ${cluster}`

export function record(s: MetricSnapshot): void {
  const at = Date.parse(s.at) / 1000
  if (at <= last) return
  last = at
  const now = new Map<string, Sample>()
  const most = busy(s.routes ?? [])
  for (const r of s.routes ?? []) {
    add(now, all, most(r) ? r : { ...r, p50: 0, p95: 0, p99: 0 })
    add(now, ofRoute(r.route), r)
    add(now, ofRule(r.route, r.rule), r)
  }
  for (const c of s.clusters ?? []) add(now, ofCluster(c.cluster), c)
  if (!now.has(all)) now.set(all, { requests: 0, errors: 0, p50: 0, p95: 0, p99: 0 })
  for (const [name, sample] of now) append(name, at, sample)
  version++
  for (const f of listeners) f()
}

/** busy tells rules that have a hundredth of all requests from streams that end now and then. */
export function busy(list: { requests: number }[]): (r: { requests: number }) => boolean {
  const least = list.reduce((n, r) => n + r.requests, 0) / 100
  return (r) => r.requests > 0 && r.requests >= least
}

// Percentiles of several rules cannot be added; the worst is what is shown of them.
function add(now: Map<string, Sample>, name: string, x: { requests: number; errors: number; p50: number; p95: number; p99: number }): void {
  const s = now.get(name) ?? { requests: 0, errors: 0, p50: 0, p95: 0, p99: 0 }
  s.requests += x.requests
  s.errors += x.requests * x.errors
  s.p50 = Math.max(s.p50, x.p50 / 1e6)
  s.p95 = Math.max(s.p95, x.p95 / 1e6)
  s.p99 = Math.max(s.p99, x.p99 / 1e6)
  now.set(name, s)
}

function append(name: string, at: number, s: Sample): void {
  let p = series.get(name)
  if (!p) {
    if (series.size >= most) return
    p = { at: [], requests: [], errors: [], p50: [], p95: [], p99: [] }
    series.set(name, p)
  }
  p.at.push(at)
  for (const k of ['requests', 'errors', 'p50', 'p95', 'p99'] as const) p[k].push(s[k])
  if (p.at.length > keep) for (const k of ['at', 'requests', 'errors', 'p50', 'p95', 'p99'] as const) p[k].shift()
}

const subscribe = (f: () => void) => {
  listeners.add(f)
  return () => listeners.delete(f)
}

const nothing: Points = { at: [], requests: [], errors: [], p50: [], p95: [], p99: [] }

/** seen is what has been seen of something since the console was opened. */
export const seen = (name: string): Points => series.get(name) ?? nothing

/** useHistory is what has been seen of something since the console was opened. */
export function useHistory(name: string): Points {
  useSyncExternalStore(subscribe, () => version)
  return seen(name)
}
