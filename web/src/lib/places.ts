import type { Spots } from './layers'

// Where the nodes of a view stand, also for the next visit. Those of a name that is gone are
// kept, as it may come back.
const key = (view: string) => `gridway-graph ${view}`
const most = 3000
const kept = new Map<string, Spots>()

export function remembered(view: string): Spots | undefined {
  const here = kept.get(view)
  if (here) return here
  try {
    const list = JSON.parse(localStorage.getItem(key(view)) ?? '') as [string, number, number][]
    const spots: Spots = new Map(list.map(([id, x, y]) => [id, { x, y }]))
    kept.set(view, spots)
    return spots
  } catch {
    return undefined
  }
}

export function remember(view: string, spots: Spots): void {
  kept.set(view, spots)
  try {
    localStorage.setItem(key(view), JSON.stringify([...spots].slice(-most).map(([id, s]) => [id, Math.round(s.x), Math.round(s.y)])))
  } catch {
    // A browser that keeps nothing lays out anew at the next visit.
  }
}

export function forget(view: string): void {
  kept.delete(view)
  localStorage.removeItem(key(view))
}
