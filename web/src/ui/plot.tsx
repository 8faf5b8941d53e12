import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useDark } from '../lib/theme'

export interface Line {
  name: string
  values: number[]
  tone: 'accent' | 'bad' | 'warn' | 'good' | 'quiet'
  fill?: boolean
}

export interface ChartProps {
  at: number[]
  lines: Line[]
  label: string
  unit?: string
}

/** Plot hands a canvas to uPlot, and new data as it comes. */
export default function Plot({ at, lines, label, unit }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const dark = useDark()
  const names = lines.map((l) => l.name).join()
  useEffect(() => {
    const place = box.current!
    const u = new uPlot(options(place, lines, unit), [at, ...lines.map((l) => l.values)], place)
    plot.current = u
    const follow = new ResizeObserver(() => u.setSize({ width: place.clientWidth, height: place.clientHeight }))
    follow.observe(place)
    return () => {
      follow.disconnect()
      u.destroy()
      plot.current = null
    }
    // Colours are read once; what is drawn follows below.
  }, [dark, names, unit])
  useEffect(() => {
    plot.current?.setData([at, ...lines.map((l) => l.values)])
  }, [at, at.length, at[at.length - 1], lines])
  return <div className="chart" ref={box} role="img" aria-label={label} />
}

function scaled(v: number, unit?: string): string {
  if (v === 0) return '0'
  if (unit === 'ms') return v >= 1000 ? `${v / 1000} s` : `${+v.toPrecision(3)} ms`
  return v >= 1000 ? `${v / 1000}k` : String(+v.toPrecision(3))
}

function options(place: HTMLElement, lines: Line[], unit?: string): uPlot.Options {
  const style = getComputedStyle(place)
  // light-dark() is resolved by the browser only where it is used.
  const probe = document.createElement('i')
  place.append(probe)
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const quiet = colour('quiet')
  const grid = { stroke: colour('line'), width: 1 }
  const font = `12px ${style.fontFamily}`
  const made = lines.map((l) => colour(l.tone))
  const o: uPlot.Options = {
    width: place.clientWidth,
    height: place.clientHeight,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
    axes: [
      { stroke: quiet, grid: { show: false }, ticks: { show: false }, font, space: 90, size: 30, values: '{HH}:{mm}:{ss}' },
      { stroke: quiet, grid, ticks: { show: false }, font, size: 58, values: (_u, list) => list.map((v) => scaled(v, unit)) },
    ],
    series: [
      {},
      ...lines.map((l, i) => ({
        label: l.name,
        stroke: made[i],
        width: 1.5,
        fill: l.fill ? made[i]!.replace('rgb(', 'rgba(').replace(')', ', 0.12)') : undefined,
        points: { show: false },
      })),
    ],
  }
  probe.remove()
  return o
}
