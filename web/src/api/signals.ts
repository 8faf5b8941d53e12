import { type Points, useHistory } from '../lib/history'
import type { SignalsGraph as Graph, SignalsSeries as Series } from './schema.gen'
import { useMaybe } from './queries'

/** useSeries is how something went in the last 15 minutes, as the process remembers it, or since the console was opened. */
export function useSeries(of: string, seen: string): Points {
  const local = useHistory(seen)
  const { data } = useMaybe<Series>('/v1/signals', { of, window: '15m' }, 10_000)
  // Before the first request there is nothing to draw, and perhaps there was no process.
  const first = data?.points?.findIndex((p) => p.count > 0) ?? -1
  if (!data?.points || first < 0) return local
  const points = data.points.slice(first)
  return {
    at: points.map((p) => Date.parse(p.at) / 1000),
    requests: points.map((p) => p.requests),
    errors: points.map((p) => p.requests * p.errors),
    p50: points.map((p) => p.p50 / 1e6),
    p99: points.map((p) => p.p99 / 1e6),
  }
}

export const useGraph = (window: string) => useMaybe<Graph>('/v1/graph', { window }, 5000)
