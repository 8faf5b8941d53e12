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

export interface Vertex {
  id: string
  /** band is a namespace. Names that begin with a space have no frame. */
  band: string
}

export interface Arc {
  source: string
  destination: string
}

export type Spots = Map<string, Spot>

/** size is that of a node, which is drawn so. */
export const size = { width: 168, height: 66 }

// Nodes stand in columns that go through the whole picture: between two of them nothing
// stands, so that lines can change their height there.
const cell = { width: size.width + 156, height: size.height + 28, gap: 56, head: 30, pad: 18 }
// A column with more nodes than these goes on beside itself.
const tall = 10

/** layout places all nodes anew. */
export function layout(nodes: Vertex[], arcs: Arc[]): Spots {
  const global = ranksOf(nodes, arcs)
  const bandOf = new Map(nodes.map((n) => [n.id, n.band]))
  const inside = Map.groupBy(arcs.filter((a) => bandOf.get(a.source) === bandOf.get(a.destination)), (a) => bandOf.get(a.source)!)
  const blocks = [...Map.groupBy(nodes, (n) => n.band)].map(([band, list]) => ({ band, first: list.reduce((least, n) => Math.min(least, global.get(n.id)!), Infinity), ...block(list, inside.get(band) ?? []) }))
  blocks.sort((a, b) => a.first - b.first || a.band.localeCompare(b.band))
  const across = blocks.length <= 3 ? blocks.length : Math.ceil(Math.sqrt(blocks.length * 1.2))
  const out: Spots = new Map()
  let y = 0
  for (let i = 0; i < blocks.length; i += across) {
    const row = blocks.slice(i, i + across)
    const rows = Math.max(...row.map((b) => b.rows))
    let column = 0
    for (const b of row) {
      const top = y + ((rows - b.rows) * cell.height) / 2
      for (const [id, s] of b.spots) out.set(id, { x: column * cell.width + s.x, y: top + s.y })
      column += b.columns
    }
    y += rows * cell.height + cell.head + cell.gap
  }
  return out
}

/** block places the nodes of one namespace. */
function block(nodes: Vertex[], arcs: Arc[]): { spots: Spots; columns: number; rows: number } {
  const ranks = ranksOf(nodes, arcs)
  const lists: string[][] = []
  for (const n of ordered(nodes, arcs, ranks)) (lists[ranks.get(n.id)!] ??= []).push(n.id)
  const spots: Spots = new Map()
  const rows = Math.min(tall, lists.reduce((most, list) => Math.max(most, list?.length ?? 0), 0))
  let column = 0
  for (const list of lists) {
    if (!list) continue
    const high = Math.min(tall, list.length)
    list.forEach((id, i) => spots.set(id, { x: (column + Math.floor(i / tall)) * cell.width, y: cell.head + ((rows - high) / 2 + (i % tall)) * cell.height }))
    column += Math.ceil(list.length / tall)
  }
  return { spots, columns: column, rows }
}

/** join finds places for nodes that have none, so that nothing that stands moves: beside who calls them, in or under the frame of their namespace, or below everything. */
export function join(nodes: Vertex[], arcs: Arc[], spots: Spots): boolean {
  const missing = new Map(nodes.flatMap((n) => (spots.has(n.id) ? [] : [[n.id, n]])))
  if (!missing.size) return false
  const standing = nodes.filter((n) => spots.has(n.id))
  // Callers first, so that who is called finds them.
  const ranks = ranksOf(nodes, arcs)
  for (const n of [...missing.values()].sort((a, b) => ranks.get(a.id)! - ranks.get(b.id)! || a.id.localeCompare(b.id))) {
    spots.set(n.id, beside(n, standing, arcs, spots) ?? { x: 0, y: bottomOf(spots) + cell.gap + cell.head })
    standing.push(n)
  }
  return true
}

/** beside is a free cell near those that a node speaks with. */
function beside(n: Vertex, standing: Vertex[], arcs: Arc[], spots: Spots): Spot | undefined {
  const frames = bands(standing, spots)
  const own = frames.find((b) => b.name === n.band)
  const near = new Set(standing.filter((x) => !own || x.band === n.band).map((x) => x.id))
  const at = (ids: string[]) => ids.filter((id) => near.has(id)).map((id) => spots.get(id)!)
  const callers = at(arcs.filter((a) => a.destination === n.id).map((a) => a.source))
  const called = at(arcs.filter((a) => a.source === n.id).map((a) => a.destination))
  const known = callers.length ? callers : called
  if (!own && !known.length) return undefined
  const column = callers.length ? Math.max(...callers.map((s) => s.x)) / cell.width + 1 : called.length ? Math.min(...called.map((s) => s.x)) / cell.width - 1 : (own!.x + cell.pad) / cell.width
  const top = own ? own.y + cell.head : known[0]!.y
  const wanted = known.length ? known.reduce((sum, s) => sum + s.y, 0) / known.length : top
  const rows = own ? Math.round((own.height - cell.head - cell.pad - size.height) / cell.height) + 2 : 4
  const cells: { at: Spot; cost: number }[] = []
  for (const aside of [0, 1, 2, 3, -1, -2, -3])
    for (let row = own ? 0 : -rows; row <= rows; row++) {
      const y = top + row * cell.height
      cells.push({ at: { x: Math.round(column + aside) * cell.width, y }, cost: (aside < 0 ? -6 * aside : 3 * aside) + Math.abs(y - wanted) / cell.height })
    }
  cells.sort((a, b) => a.cost - b.cost)
  // Those that were seen before may come back to their places.
  const taken = [...spots.values()]
  const others = frames.filter((b) => b !== own)
  return cells.find(({ at }) => !taken.some((s) => Math.abs(s.x - at.x) < size.width && Math.abs(s.y - at.y) < cell.height) && !others.some((b) => meet(b, grown(own, at))))?.at
}

/** grown is a frame with one more node in it. */
function grown(frame: Band | undefined, at: Spot): Omit<Band, 'name'> {
  const alone = { x: at.x - cell.pad, y: at.y - cell.head, width: size.width + 2 * cell.pad, height: size.height + cell.head + cell.pad }
  if (!frame) return alone
  const [x, y] = [Math.min(frame.x, alone.x), Math.min(frame.y, alone.y)]
  return { x, y, width: Math.max(frame.x + frame.width, alone.x + alone.width) - x, height: Math.max(frame.y + frame.height, alone.y + alone.height) - y }
}

const meet = (a: Omit<Band, 'name'>, b: Omit<Band, 'name'>): boolean => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

const bottomOf = (spots: Spots): number => [...spots.values()].reduce((most, s) => Math.max(most, s.y + size.height), 0)

/** bands are the frames around the nodes of each namespace. */
export function bands(nodes: Vertex[], spots: Spots): Band[] {
  return [...Map.groupBy(nodes, (n) => n.band)].flatMap(([name, list]): Band[] => {
    if (name.startsWith(' ')) return []
    const at = list.flatMap((n) => spots.get(n.id) ?? [])
    const [left, top] = [at.reduce((m, s) => Math.min(m, s.x), Infinity) - cell.pad, at.reduce((m, s) => Math.min(m, s.y), Infinity) - cell.head]
    const [right, under] = [at.reduce((m, s) => Math.max(m, s.x), -Infinity) + size.width + cell.pad, at.reduce((m, s) => Math.max(m, s.y), -Infinity) + size.height + cell.pad]
    return [{ name, x: left, y: top, width: right - left, height: under - top }]
  })
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
