/** Line is one line of a difference; a number is missing where the side has none. */
export interface Line {
  op: 'same' | 'removed' | 'added'
  text: string
  old?: number
  new?: number
}

// Beyond so many pairs of lines that may be the same, the middle is taken for new as a whole.
const mostPairs = 4_000_000

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** lineDiff is the shortest way from one text to another, line by line. */
export function lineDiff(before: string, after: string): Line[] {
  const a = linesOf(before)
  const b = linesOf(after)
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  const out: Line[] = []
  const same = (i: number, j: number) => out.push({ op: 'same', text: a[i]!, old: i + 1, new: j + 1 })
  for (let i = 0; i < head; i++) same(i, i)
  middle(a, b, head, a.length - tail, b.length - tail, out)
  for (let i = tail; i > 0; i--) same(a.length - i, b.length - i)
  return out
}

/** middle goes along the longest common subsequence of both parts. */
function middle(a: string[], b: string[], from: number, aEnd: number, bEnd: number, out: Line[]): void {
  const n = aEnd - from
  const m = bEnd - from
  let i = 0
  let j = 0
  if (n * m <= mostPairs) {
    const width = m + 1
    const common = new Uint32Array((n + 1) * width)
    for (let x = n - 1; x >= 0; x--)
      for (let y = m - 1; y >= 0; y--) common[x * width + y] = a[from + x] === b[from + y] ? common[(x + 1) * width + y + 1]! + 1 : Math.max(common[(x + 1) * width + y]!, common[x * width + y + 1]!)
    while (i < n && j < m) {
      if (a[from + i] === b[from + j]) {
        out.push({ op: 'same', text: a[from + i]!, old: from + i + 1, new: from + j + 1 })
        i++
        j++
      } else if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) {
        out.push({ op: 'removed', text: a[from + i]!, old: from + i + 1 })
        i++
      } else {
        out.push({ op: 'added', text: b[from + j]!, new: from + j + 1 })
        j++
      }
    }
  }
  for (; i < n; i++) out.push({ op: 'removed', text: a[from + i]!, old: from + i + 1 })
  for (; j < m; j++) out.push({ op: 'added', text: b[from + j]!, new: from + j + 1 })
}

/** Gap stands for lines that are the same on both sides and far from what differs. */
export interface Gap {
  op: 'gap'
  lines: number
}

/** folded leaves so many lines around what differs. */
export function folded(lines: Line[], around = 3): (Line | Gap)[] {
  const near = lines.map(() => false)
  lines.forEach((l, i) => {
    if (l.op !== 'same') near.fill(true, Math.max(0, i - around), i + around + 1)
  })
  const out: (Line | Gap)[] = []
  lines.forEach((l, i) => {
    const last = out[out.length - 1]
    if (near[i]) out.push(l)
    else if (last?.op === 'gap') last.lines++
    else out.push({ op: 'gap', lines: 1 })
  })
  return out
}
