import type { Hop } from '../api/schema.gen'

/** nanos has the fraction of a time that Date cuts off. */
function nanos(at: string, epoch: number): number {
  const fraction = /\.(\d+)/.exec(at)?.[1] ?? ''
  const whole = Math.floor(Date.parse(at) / 1000) * 1000 - epoch
  return whole * 1e6 + Number(fraction.padEnd(9, '0').slice(0, 9))
}

/** beginsOf is when each hop began, in nanoseconds after the first of them. */
export function beginsOf(hops: Hop[]): number[] {
  const epoch = Math.floor(Math.min(...hops.map((h) => Date.parse(h.start))) / 1000) * 1000
  const at = hops.map((h) => nanos(h.start, epoch))
  const first = Math.min(...at)
  return at.map((t) => t - first)
}

/** endOf is when the last of a trace has ended, tries included. */
export function endOf(hops: Hop[]): number {
  const begins = beginsOf(hops)
  return Math.max(1, ...hops.map((h, i) => begins[i]! + Math.max(h.duration, ...(h.tries ?? []).map((t) => t.end))))
}
