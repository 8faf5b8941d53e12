// Where the nodes of a graph stand. Each namespace is a block, in which columns go from
// those who call to those who are called; blocks stand in the order of calls, too. The same
// graph gives the same picture, and what stands stays.

export interface Spot {
  x: number
  y: number
}

export interface Band extends Spot {
  name: string
  width: number
  height: number
}

interface Vertex {
  id: string
  /** band is a namespace. Names that begin with a space have no frame. */
  band: string
}

interface Arc {
  source: string
  destination: string
}

export interface Layout {
  spots: Map<string, Spot>
  bands: Band[]
}

const cell = { width: 290, height: 84, gap: 40, head: 34, pad: 18 }
// A column with more nodes than these goes on beside itself.
const tall = 10

/** layout places all nodes anew. */
export function layout(nodes: Vertex[], arcs: Arc[]): Layout {
  const global = ranksOf(nodes, arcs)
  const blocks = [...Map.groupBy(nodes, (n) => n.band)].map(([band, list]) => {
    const ids = new Set(list.map((n) => n.id))
    return { band, first: Math.min(...list.map((n) => global.get(n.id)!)), ...block(list, arcs.filter((a) => ids.has(a.source) && ids.has(a.destination))) }
  })
  blocks.sort((a, b) => a.first - b.first || a.band.localeCompare(b.band))
  const across = blocks.length <= 3 ? blocks.length : Math.ceil(Math.sqrt(blocks.length * 1.2))
  const out: Layout = { spots: new Map(), bands: [] }
  let y = 0
  for (let i = 0; i < blocks.length; i += across) {
    const row = blocks.slice(i, i + across)
    const height = Math.max(...row.map((b) => b.height))
    let x = 0
    for (const b of row) {
      const top = y + (height - b.height) / 2
      for (const [id, s] of b.spots) out.spots.set(id, { x: x + s.x, y: top + s.y })
      if (!b.band.startsWith(' ')) out.bands.push({ name: b.band, x, y: top, width: b.width, height: b.height })
      x += b.width + cell.gap * 1.6
    }
    y += height + cell.gap
  }
  return out
}

/** block places the nodes of one namespace. */
function block(nodes: Vertex[], arcs: Arc[]): { spots: Map<string, Spot>; width: number; height: number } {
  const ranks = ranksOf(nodes, arcs)
  const columns: string[][] = []
  for (const n of ordered(nodes, arcs, ranks)) (columns[ranks.get(n.id)!] ??= []).push(n.id)
  const spots = new Map<string, Spot>()
  const rows = Math.min(tall, Math.max(...columns.map((c) => c?.length ?? 0)))
  let x = cell.pad
  for (const list of columns) {
    const high = Math.min(tall, list?.length ?? 0)
    list?.forEach((id, i) => spots.set(id, { x: x + Math.floor(i / tall) * cell.width, y: cell.head + ((rows - high) * cell.height) / 2 + (i % tall) * cell.height }))
    x += Math.max(1, Math.ceil((list?.length ?? 0) / tall)) * cell.width
  }
  return { spots, width: x - cell.width + 168 + cell.pad, height: rows * cell.height + cell.head }
}

/** join puts nodes that have no spot yet below everything, so that nothing that stands moves. */
export function join(nodes: Vertex[], spots: Map<string, Spot>): number {
  const missing = nodes.filter((n) => !spots.has(n.id))
  if (!missing.length) return 0
  const bottom = Math.max(0, ...[...spots.values()].map((s) => s.y)) + cell.height + cell.gap * 2
  missing.forEach((n, i) => spots.set(n.id, { x: (i % 6) * cell.width + cell.pad, y: bottom + Math.floor(i / 6) * cell.height }))
  return missing.length
}

/** ranksOf is the longest way to each node from one that nobody calls; calls back do not count. */
function ranksOf(nodes: Vertex[], arcs: Arc[]): Map<string, number> {
  const out = new Map<string, string[]>()
  const called = new Set<string>()
  for (const a of arcs) {
    if (a.source === a.destination) continue
    push(out, a.source, a.destination)
    called.add(a.destination)
  }
  const state = new Map<string, 'open' | 'done'>()
  const post: string[] = []
  const forward = new Map<string, string[]>()
  const ids = nodes.map((n) => n.id).sort()
  const roots = [...ids.filter((id) => !called.has(id)), ...ids]
  for (const root of roots) {
    // Depth first, without recursion: a chain may be as long as the graph.
    const stack: [string, number][] = [[root, 0]]
    if (state.has(root)) continue
    state.set(root, 'open')
    while (stack.length) {
      const top = stack[stack.length - 1]!
      const [id, i] = top
      const next = out.get(id)?.[i]
      if (next === undefined) {
        state.set(id, 'done')
        post.push(id)
        stack.pop()
        continue
      }
      top[1]++
      if (state.get(next) === 'open') continue // a call back
      push(forward, id, next)
      if (!state.has(next)) {
        state.set(next, 'open')
        stack.push([next, 0])
      }
    }
  }
  const ranks = new Map(ids.map((id) => [id, 0]))
  for (const id of post.reverse()) for (const next of forward.get(id) ?? []) if (ranks.has(next)) ranks.set(next, Math.max(ranks.get(next)!, (ranks.get(id) ?? 0) + 1))
  return ranks
}

/** ordered puts nodes near those that they speak with, so that fewer lines cross. */
function ordered(nodes: Vertex[], arcs: Arc[], ranks: Map<string, number>): Vertex[] {
  const near = new Map<string, string[]>()
  for (const a of arcs) {
    push(near, a.source, a.destination)
    push(near, a.destination, a.source)
  }
  let list = [...nodes].sort((a, b) => a.id.localeCompare(b.id))
  for (let sweep = 0; sweep < 4; sweep++) {
    const place = new Map<string, number>()
    const height = new Map<string, number>()
    for (const n of list) {
      const key = `${ranks.get(n.id)}`
      place.set(n.id, height.get(key) ?? 0)
      height.set(key, (height.get(key) ?? 0) + 1)
    }
    const middle = (n: Vertex) => {
      const of = (near.get(n.id) ?? []).filter((id) => ranks.get(id) !== ranks.get(n.id))
      return of.length ? of.reduce((sum, id) => sum + (place.get(id) ?? 0), 0) / of.length : (place.get(n.id) ?? 0)
    }
    const weights = new Map(list.map((n) => [n.id, middle(n)]))
    list = [...list].sort((a, b) => weights.get(a.id)! - weights.get(b.id)! || a.id.localeCompare(b.id))
  }
  return list
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
