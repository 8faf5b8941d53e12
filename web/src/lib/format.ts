// Numbers as people read them. Durations of the API are nanoseconds.

const rates = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const counts = new Intl.NumberFormat('en')

export const count = (n: number): string => counts.format(n)

export function rate(n: number): string {
  if (n === 0) return '0'
  if (n < 0.1) return '< 0.1'
  return n >= 1000 ? counts.format(Math.round(n)) : rates.format(n)
}

export function percent(share: number): string {
  const p = share * 100
  if (p === 0) return '0 %'
  if (p < 0.1) return '< 0.1 %'
  return `${p < 10 ? p.toFixed(1) : Math.round(p)} %`
}

export function latency(ns: number): string {
  if (!ns) return '–'
  const ms = ns / 1e6
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return `${+(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`
}

const steps: [number, string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** span is a length of time in seconds, in its largest unit. */
export function span(seconds: number): string {
  for (const [unit, name] of steps) if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name}`
  return '0 s'
}

/** ago puts a time in relation to now, in both directions. */
export function ago(at: string, now: number): string {
  const seconds = (now - Date.parse(at)) / 1000
  if (Number.isNaN(seconds)) return '–'
  if (Math.abs(seconds) < 5) return 'now'
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`
}

export const plural = (n: number, one: string, many = one + 's'): string => `${counts.format(n)} ${n === 1 ? one : many}`
