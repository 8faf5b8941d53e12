import { lazy, Suspense, type ReactNode } from 'react'
import type { Points } from '../lib/history'
import { latency, rate } from '../lib/format'
import type { ChartProps } from './plot'

const Plot = lazy(() => import('./plot'))

/** Chart draws lines over time. The code that does is fetched when the first one is shown. */
export function Chart(props: ChartProps) {
  if ((props.at.length ?? 0) < 2) return <div className="chart empty">Gathering: a line needs two measurements.</div>
  return (
    <Suspense fallback={<div className="chart" />}>
      <Plot {...props} />
    </Suspense>
  )
}

const last = (list: number[]): number => list.at(-1) ?? 0

interface LegendProps {
  items: [string, string, ReactNode][]
}

const Legend = ({ items }: LegendProps) => (
  <p className="legend">
    {items.map(([name, tone, value]) => (
      <span key={name}>
        <i className={tone} />
        {name} <b>{value}</b>
      </span>
    ))}
  </p>
)

/** Rates are requests and errors per second. */
export function Rates({ of, label }: { of: Points; label: string }) {
  return (
    <>
      <Legend items={[['requests/s', '', rate(last(of.requests))], ['errors/s', 'bad', rate(last(of.errors))]]} />
      <Chart at={of.at} label={label} lines={[{ name: 'requests/s', values: of.requests, tone: 'accent', fill: true }, { name: 'errors/s', values: of.errors, tone: 'bad' }]} />
    </>
  )
}

/** Latencies are p50, p95 and p99 in milliseconds. */
export function Latencies({ of, label }: { of: Points; label: string }) {
  const ms = (v: number) => latency(v * 1e6)
  return (
    <>
      <Legend items={[['p99', 'warn', ms(last(of.p99))], ['p95', 'quiet', ms(last(of.p95))], ['p50', '', ms(last(of.p50))]]} />
      <Chart at={of.at} label={label} unit="ms" lines={[{ name: 'p99', values: of.p99, tone: 'warn' }, { name: 'p95', values: of.p95, tone: 'quiet' }, { name: 'p50', values: of.p50, tone: 'accent', fill: true }]} />
    </>
  )
}
