// How lines go: never over a node. Nodes stand in columns; a line changes its height only
// between columns, and goes through a column where there is room between two nodes.
import { type Arc, size, type Spot, type Spots } from './layers'

/** Curve is a piece of a line: a cubic Bézier, of which a straight one is a special case. */
export interface Curve {
  from: Spot
  one: Spot
  two: Spot
  to: Spot
}

export type Wire = Curve[]

/** Column is a stretch of x with nodes, and where these are. */
interface Column {
  from: number
  to: number
  /** free are the heights at which one can pass, from above down. */
  free: [number, number][]
}

/** Crossing is one line's way through one column. */
interface Crossing {
  column: Column
  gap: number
  /** ideal is the height that would be straight, y the one it has got. */
  ideal: number
  y: number
}

const margin = 5
const outside = 400

/** wires finds the way of each arc; those that go nowhere are left out. */
export function wires<T extends Arc & { id: string }>(arcs: T[], spots: Spots): Map<string, Wire> {
  const columns = columnsOf([...spots.values()])
  const known = arcs.filter((a) => a.source !== a.destination && spots.has(a.source) && spots.has(a.destination)).sort((a, b) => a.id.localeCompare(b.id))
  const ports = portsOf(known, spots)
  const plans = known.map((a) => {
    const from = { x: spots.get(a.source)!.x + size.width, y: ports.out.get(a.id)! }
    const to = { x: spots.get(a.destination)!.x, y: ports.in.get(a.id)! }
    return { id: a.id, from, to, through: crossings(columns, from, to) }
  })
  spread(plans.flatMap((p) => p.through))
  return new Map(plans.map((p) => [p.id, drawn(p.from, p.to, p.through)]))
}

function columnsOf(spots: Spot[]): Column[] {
  const list: { from: number; to: number; at: Spot[] }[] = []
  for (const s of [...spots].sort((a, b) => a.x - b.x)) {
    const last = list.at(-1)
    if (last && s.x <= last.to) {
      last.to = Math.max(last.to, s.x + size.width)
      last.at.push(s)
    } else list.push({ from: s.x, to: s.x + size.width, at: [s] })
  }
  return list.map(({ from, to, at }) => ({ from, to, free: freeOf(at) }))
}

function freeOf(at: Spot[]): [number, number][] {
  const free: [number, number][] = []
  let y = -Infinity
  for (const s of [...at].sort((a, b) => a.y - b.y)) {
    if (s.y - margin > y) free.push([y === -Infinity ? s.y - outside : y, s.y - margin])
    y = Math.max(y, s.y + size.height + margin)
  }
  free.push([y, y + outside])
  return free
}

/** portsOf spreads the lines of a node over its height, in the order of where they go. */
function portsOf<T extends Arc & { id: string }>(arcs: T[], spots: Spots): { in: Map<string, number>; out: Map<string, number> } {
  const side = (own: (a: T) => string, other: (a: T) => string) => {
    const ports = new Map<string, number>()
    for (const [id, list] of Map.groupBy(arcs, own)) {
      const step = Math.min(11, (size.height - 16) / list.length)
      const middle = spots.get(id)!.y + size.height / 2
      list.sort((a, b) => spots.get(other(a))!.y - spots.get(other(b))!.y || a.id.localeCompare(b.id)).forEach((a, i) => ports.set(a.id, middle + (i - (list.length - 1) / 2) * step))
    }
    return ports
  }
  return { out: side((a) => a.source, (a) => a.destination), in: side((a) => a.destination, (a) => a.source) }
}

/** crossings are the columns between two ends, with the gap of each that is nearest to the straight way. */
function crossings(columns: Column[], from: Spot, to: Spot): Crossing[] {
  const forward = to.x > from.x
  const between = forward ? columns.filter((c) => c.from >= from.x && c.to <= to.x) : columns.filter((c) => c.to > to.x && c.from < from.x).reverse()
  let y = from.y
  return between.map((column, i) => {
    const ideal = y + (to.y - y) / (between.length - i + 1)
    let gap = 0
    column.free.forEach(([low, high], g) => {
      if (far(ideal, low, high) < far(ideal, ...column.free[gap]!)) gap = g
    })
    const [low, high] = column.free[gap]!
    y = Math.min(Math.max(ideal, low), high)
    return { column, gap, ideal, y }
  })
}

const far = (y: number, low: number, high: number): number => (y < low ? low - y : y > high ? y - high : 0)

/** spread gives lines that share a gap a height each. */
function spread(all: Crossing[]): void {
  const groups = new Map<Column, Map<number, Crossing[]>>()
  for (const c of all) {
    const gaps = groups.get(c.column) ?? new Map<number, Crossing[]>()
    groups.set(c.column, gaps.set(c.gap, [...(gaps.get(c.gap) ?? []), c]))
  }
  for (const gaps of groups.values())
    for (const list of gaps.values()) {
      const [low, high] = list[0]!.column.free[list[0]!.gap]!
      const step = Math.min(9, (high - low) / (list.length + 1))
      const middle = list.reduce((n, c) => n + c.y, 0) / list.length
      const half = ((list.length - 1) / 2) * step
      const centre = Math.min(Math.max(middle, low + half + step / 2), high - half - step / 2)
      list.sort((a, b) => a.ideal - b.ideal).forEach((c, i) => (c.y = centre - half + i * step))
    }
}

function drawn(from: Spot, to: Spot, through: Crossing[]): Wire {
  const forward = to.x > from.x
  const wire: Wire = []
  let at = from
  const go = (next: Spot) => {
    // A line that turns round leaves to the right, and comes in from the left.
    const bow = forward ? Math.max(20, Math.abs(next.x - at.x) * 0.45) : 0
    wire.push({ from: at, one: { x: at.x + bow, y: at.y }, two: { x: next.x - bow, y: next.y }, to: next })
    at = next
  }
  const turn = (next: Spot, x: number) => {
    wire.push({ from: at, one: { x, y: at.y }, two: { x, y: next.y }, to: next })
    at = next
  }
  through.forEach((c, i) => {
    if (forward) {
      go({ x: c.column.from - 8, y: c.y })
      go({ x: c.column.to + 8, y: c.y })
      return
    }
    if (i === 0) turn({ x: c.column.to, y: c.y }, c.column.to + 64)
    else turn({ x: c.column.to + 8, y: c.y }, (at.x + c.column.to) / 2)
    turn({ x: c.column.from - 8, y: c.y }, (c.column.from + c.column.to) / 2)
  })
  if (forward) go(to)
  else turn(to, Math.min(at.x, to.x) - 56)
  return wire
}

const n = (v: number) => v.toFixed(1)

/** pathOf is a wire as the d of an SVG path. */
export const pathOf = (w: Wire): string => `M${n(w[0]!.from.x)},${n(w[0]!.from.y)}` + w.map((c) => `C${n(c.one.x)},${n(c.one.y)} ${n(c.two.x)},${n(c.two.y)} ${n(c.to.x)},${n(c.to.y)}`).join('')

/** pointOn is a place on a curve, of which t goes from 0 to 1. */
export function pointOn(c: Curve, t: number): Spot {
  const u = 1 - t
  const of = (k: 'x' | 'y') => u * u * u * c.from[k] + 3 * u * u * t * c.one[k] + 3 * u * t * t * c.two[k] + t * t * t * c.to[k]
  return { x: of('x'), y: of('y') }
}
