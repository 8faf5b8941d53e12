import { type Points, useHistory } from '../lib/history'
import type { SignalsGraph as Graph, SignalsSeries as Series } from './schema.gen'
import { useMaybe } from './queries'

/** useSeries is how something went lately, as the process remembers it, or since the console was opened. */
export function useSeries(of: string, seen: string, window = '15m'): Points {
  const local = useHistory(seen)
  const { data } = useMaybe<Series>('/v1/signals', { of, window }, 10_000)
  // Before the first request there is nothing to draw, and perhaps there was no process.
  const first = data?.points?.findIndex((p) => p.count > 0) ?? -1
  if (!data?.points || first < 0) return local
  const points = data.points.slice(first)
  return {
    at: points.map((p) => Date.parse(p.at) / 1000),
    requests: points.map((p) => p.requests),
    errors: points.map((p) => p.requests * p.errors),
    p50: points.map((p) => p.p50 / 1e6),
    p95: points.map((p) => p.p95 / 1e6),
    p99: points.map((p) => p.p99 / 1e6),
  }
}

/** useGraph is who calls whom, over a time. */
export const useGraph = (window: string, interval = 5000) => useMaybe<Graph>('/v1/graph', { window }, interval)

/** useLately is how all goes now, and how it went in the last hour. */
export function useLately() {
  const now = useGraph('2m', 10_000)
  const hour = useGraph('1h', 60_000)
  return { now, hour }
}

