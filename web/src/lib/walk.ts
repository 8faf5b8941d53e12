import type { Arc, Spots } from './layers'

const directions: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

/** step is where an arrow key leads: first to those that are called, or call, in this direction; else to the nearest. */
export function step(from: string, key: string, spots: Spots, arcs: Arc[]): string | undefined {
  const direction = directions[key]
  const at = spots.get(from)
  if (!direction || !at) return undefined
  const [dx, dy] = direction
  const joined = new Set(dx ? arcs.flatMap((a) => (a.source === from ? [a.destination] : a.destination === from ? [a.source] : [])) : [])
  let best: string | undefined
  let least = Infinity
  for (const [id, s] of spots) {
    const along = (s.x - at.x) * dx + (s.y - at.y) * dy
    if (id === from || along <= 1) continue
    const aside = Math.abs((s.x - at.x) * dy) + Math.abs((s.y - at.y) * dx)
    const way = along + aside * 2 - (joined.has(id) ? 10_000 : 0)
    if (way < least) [best, least] = [id, way]
  }
  return best
}
