import type { Hop } from '../api/schema.gen'
import { refOf, serviceOf, short } from './names'
import { beginsOf } from './timeline'

/** Side is a hop of one of two traces, and when it began. */
export interface Side {
  hop: Hop
  begin: number
}

/** Pair is what corresponds in two traces; one side is missing where only the other has been there. */
export interface Pair {
  a?: Side
  b?: Side
}

// Longer traces are aligned by their first hops.
const most = 400

/** align puts hops beside each other that do the same for the same service, in their order. */
export function align(first: Hop[], second: Hop[]): Pair[] {
  const a = sidesOf(first)
  const b = sidesOf(second)
  const same = (i: number, j: number) => roleOf(a[i]!.hop) === roleOf(b[j]!.hop)
  // The longest common sequence, from the end on.
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1))
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) best[i]![j] = same(i, j) ? best[i + 1]![j + 1]! + 1 : Math.max(best[i + 1]![j]!, best[i]![j + 1]!)
  const pairs: Pair[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(i, j)) pairs.push({ a: a[i++], b: b[j++] })
    else if (j >= b.length || (i < a.length && best[i + 1]![j]! >= best[i]![j + 1]!)) pairs.push({ a: a[i++] })
    else pairs.push({ b: b[j++] })
  }
  return pairs
}

function sidesOf(hops: Hop[]): Side[] {
  const begins = beginsOf(hops)
  return hops.slice(0, most).map((hop, i) => ({ hop, begin: begins[i]! }))
}

// What a hop is there for; which proxy of several it was makes no difference.
const roleOf = (h: Hop): string => `${h.side} ${h.of || serviceOfProxy(h.proxy)}`

const serviceOfProxy = (proxy?: string): string => proxy?.split('/').slice(0, 2).join('/') ?? ''

/** Difference is something that the two sides of a pair have not in common. */
export interface Difference {
  name: string
  a: string
  b: string
  /** grave is one of the outcome. */
  grave?: boolean
}

/** differences are those that explain another outcome or another time: not IDs, nor the time itself. */
export function differences({ a, b }: Pair): Difference[] {
  if (!a || !b) return []
  const told: [string, (h: Hop) => string, boolean?][] = [
    ['Status', (h) => h.grpcStatus || (h.status ? String(h.status) : 'no answer'), true],
    ['Reason', (h) => h.reason ?? '', true],
    ['Request', (h) => `${h.method ?? ''} ${h.path ?? ''}`.trim()],
    ['Protocol', (h) => h.protocol ?? ''],
    ['Route', (h) => (h.route ? `${short(refOf(h.route))} ${(h.rule ?? '').replace(/^.*\/rules\//, 'rule ')}`.trim() : '')],
    ['Sent to', (h) => (h.cluster ?? '').replace(/~.*$/, '')],
    ['Endpoint', (h) => h.endpoint ?? ''],
    ['Proxy', (h) => h.proxy ?? ''],
    ['Caller', (h) => [h.consumer, h.peerIdentity && serviceOf(h.peerIdentity)].filter(Boolean).join(', ')],
    ['Decisions', (h) => (h.decisions ?? []).map((d) => `${d.verdict} by ${d.policy}${d.rule ? ` (${d.rule})` : ''}`).join(', ')],
    ['Tries', (h) => triesOf(h), true],
    ['Revision', (h) => (h.revision ? String(h.revision) : '')],
  ]
  return told.map(([name, of, grave]) => ({ name, a: of(a.hop), b: of(b.hop), grave })).filter((d) => d.a !== d.b)
}

const triesOf = (h: Hop): string => {
  const tries = h.tries ?? []
  return tries.length ? `${tries.length} (${tries.map((t) => t.reason || t.status || 'no answer').join(', ')})` : 'none'
}
