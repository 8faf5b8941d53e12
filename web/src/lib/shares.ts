import type { RouteRow } from '../api/schema.gen'
import { ofCluster, ofRule, seen } from './history'
import { routeOf } from './names'

/** nameOf takes the weight away: "Service/default/reviews:80~c3b8088f 90 %". */
export function split(backend: string): { name: string; wanted?: number } {
  const [, name = backend, wanted] = /^(.*?)(?: ([\d.]+) %)?$/.exec(backend) ?? []
  return { name, wanted: wanted === undefined ? undefined : Number(wanted) / 100 }
}

/**
 * sharesOf is which part of a rule's requests each of its backends has got since the console
 * was opened. Clusters are counted for all rules that use them: what rules with one backend
 * alone have sent there is taken off, and if another split has a part in it nothing is known.
 */
export function sharesOf(row: RouteRow, all: RouteRow[]): Map<string, number> | undefined {
  const backends = row.backends.map((b) => split(b).name)
  if (backends.length < 2) return undefined
  const rules = new Map(all.map((r) => [`${routeOf(r.route)} ${r.rule}`, r]))
  rules.delete(`${routeOf(row.route)} ${row.rule}`)
  const got = new Map<string, number>()
  for (const b of backends) {
    let n = average(ofCluster(b))
    if (n === undefined) return undefined
    for (const other of rules.values()) {
      if (!other.backends.some((x) => split(x).name === b)) continue
      if (other.backends.length > 1) return undefined
      n -= average(ofRule(routeOf(other.route), String(other.rule))) ?? 0
    }
    got.set(b, Math.max(0, n))
  }
  const sum = [...got.values()].reduce((a, b) => a + b, 0)
  return sum > 0 ? new Map([...got].map(([b, n]) => [b, n / sum])) : undefined
}

// Fewer measurements than these tell of chance.
const least = 5

function average(name: string): number | undefined {
  const list = seen(name).requests
  return list.length < least ? undefined : list.reduce((a, b) => a + b, 0) / list.length
}
