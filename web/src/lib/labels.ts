// Where the labels of lines stand: on their line, and over nothing else. One that finds no
// place is not drawn until somebody points at its line.
import { size, type Spot, type Spots } from './layers'
import { pointOn, type Wire } from './wires'

interface Box {
  left: number
  right: number
  top: number
  bottom: number
}

const height = 18

/** rows are boxes by their height, so that few are looked at. */
class Rows {
  private readonly of = new Map<number, Box[]>()
  private static readonly step = 100

  add(b: Box): void {
    for (let r = Math.floor(b.top / Rows.step); r <= Math.floor(b.bottom / Rows.step); r++) this.of.set(r, [...(this.of.get(r) ?? []), b])
  }

  meets(b: Box): boolean {
    for (let r = Math.floor(b.top / Rows.step); r <= Math.floor(b.bottom / Rows.step); r++) if (this.of.get(r)?.some((x) => x.left < b.right && b.left < x.right && x.top < b.bottom && b.top < x.bottom)) return true
    return false
  }
}

/** labels places one label on each wire that has room for it. The first of the list choose first. */
export function labels(list: { id: string; width: number }[], of: Map<string, Wire>, spots: Spots): Map<string, Spot> {
  const taken = new Rows()
  for (const s of spots.values()) taken.add({ left: s.x - 2, right: s.x + size.width + 2, top: s.y - 2, bottom: s.y + size.height + 2 })
  const out = new Map<string, Spot>()
  for (const { id, width } of list) {
    for (const at of places(of.get(id) ?? [])) {
      const box = { left: at.x - width / 2, right: at.x + width / 2, top: at.y - height / 2, bottom: at.y + height / 2 }
      if (taken.meets(box)) continue
      taken.add(box)
      out.set(id, at)
      break
    }
  }
  return out
}

// Near the end of a line it is clear whose it is, in its middle it is most easily seen.
function places(w: Wire): Spot[] {
  const ends = w.length > 1 ? [w.at(-1)!, w[0]!, ...w.slice(1, -1)] : w
  return ends.flatMap((c) => [0.5, 0.6, 0.4, 0.68, 0.32].map((t) => pointOn(c, t)))
}
