// Where a place of a YAML text is in the object that it writes, for texts that are being
// written: nothing here needs the rest to be valid.

export type Step = string | number

/** Entry is a key of a mapping and where it stands. */
export interface Entry {
  line: number
  /** column and end of the name, from 0. */
  column: number
  end: number
  /** path leads to the value. */
  path: Step[]
  name: string
  /** value is what stands behind the colon. */
  value: string
}

/** Document is one of a stream, with its keys. */
export interface Document {
  first: number
  last: number
  apiVersion: string
  kind: string
  entries: Entry[]
}

interface Open {
  column: number
  step: Step
  item: boolean
}

const key = /^("[^"]*"|'[^']*'|[^\s#[\]{},&*!|>'"%@`-][^\s:#]*|-[^\s:#]+):(?=\s|$)/
const bare = (text: string) => text.replace(/^(["'])(.*)\1$/, '$2')

/** documentAt reads the document that has the line, from 0. */
export function documentAt(lines: string[], line: number): Document {
  let first = line
  while (first > 0 && !/^---(\s|$)/.test(lines[first]!)) first--
  let last = line + 1
  while (last < lines.length && !/^---(\s|$)/.test(lines[last]!)) last++
  const d: Document = { first, last: last - 1, apiVersion: '', kind: '', entries: [] }
  walk(lines, first, last, d)
  for (const e of d.entries)
    if (e.path.length === 1) {
      if (e.name === 'apiVersion') d.apiVersion = bare(e.value)
      if (e.name === 'kind') d.kind = bare(e.value)
    }
  return d
}

/** walk reads lines, and returns what is still open at their end. */
function walk(lines: string[], first: number, end: number, d: Document): Open[] {
  const open: Open[] = []
  let scalar = -1 // lines that are further in than this belong to a block of text
  for (let i = first; i < end; i++) {
    const text = lines[i]!
    const indent = text.search(/\S/)
    if (indent < 0 || text[indent] === '#' || /^(---|\.\.\.)/.test(text)) continue
    if (scalar >= 0 && indent > scalar) continue
    scalar = -1
    read(text, indent, i, open, d)
    const entry = d.entries[d.entries.length - 1]
    if (entry?.line === i && /^[|>][-+0-9]*\s*(#.*)?$/.test(entry.value)) scalar = entry.column
  }
  return open
}

/** read takes dashes and a key from a line. */
function read(text: string, indent: number, line: number, open: Open[], d: Document): void {
  let column = indent
  while (text[column] === '-' && (column + 1 === text.length || text[column + 1] === ' ')) {
    item(open, column)
    column++
    while (text[column] === ' ') column++
  }
  const m = key.exec(text.slice(column))
  if (!m) return
  close(open, column)
  const name = bare(m[1]!)
  open.push({ column, step: name, item: false })
  d.entries.push({ line, column, end: column + m[1]!.length, path: open.map((o) => o.step), name, value: text.slice(column + m[0].length).trim() })
}

/** item begins an item of a list, whose dash may stand below the first letter of the list's key. */
function item(open: Open[], column: number): void {
  let index = 0
  for (let top = open[open.length - 1]; top && (top.column > column || (top.column === column && top.item)); top = open[open.length - 1]) {
    if (top.item && top.column === column) index = (top.step as number) + 1
    open.pop()
  }
  open.push({ column, step: index, item: true })
}

function close(open: Open[], column: number): void {
  for (let top = open[open.length - 1]; top && top.column >= column; top = open[open.length - 1]) open.pop()
}

/** Spot is what is being written at a place: a key of the object at path, or the value of a key. */
export interface Spot {
  document: Document
  path: Step[]
  /** name is of the key whose value is written; undefined is that a key is. */
  name?: string
  /** from is the column where what is written begins. */
  from: number
  /** flow is that braces or brackets are around it. */
  flow: boolean
}

/** spotAt is what is being written at a line and column, both from 0. */
export function spotAt(lines: string[], line: number, column: number): Spot {
  const text = lines[line]!.slice(0, column)
  const document = documentAt(lines, line)
  let indent = text.search(/\S/)
  if (indent < 0) indent = text.length
  const open = walk(lines, document.first, line, { ...document, entries: [] })
  let at = indent
  while (text[at] === '-' && (at + 1 >= text.length || text[at + 1] === ' ')) {
    item(open, at)
    at++
    while (text[at] === ' ') at++
  }
  close(open, at)
  const path = open.map((o) => o.step)
  const m = key.exec(text.slice(at))
  if (!m) return { document, path, from: at, flow: false }
  const start = at + m[0].length
  return flowAt(text, start, { document, path: [...path, bare(m[1]!)], name: bare(m[1]!), from: start + text.slice(start).search(/\S|$/), flow: false })
}

/** flowAt follows braces and brackets from the value's start to the end of the text. */
function flowAt(text: string, start: number, spot: Spot): Spot {
  const stack: { list: boolean; step: Step; name?: string; from: number }[] = []
  let quote = ''
  for (let i = start; i < text.length; i++) {
    const c = text[i]!
    const top = stack[stack.length - 1]
    if (quote) {
      if (c === quote) quote = ''
    } else if (c === '"' || c === "'") quote = c
    else if (c === '{') stack.push({ list: false, step: '', from: i + 1 })
    else if (c === '[') stack.push({ list: true, step: 0, from: i + 1 })
    else if (c === '}' || c === ']') stack.pop()
    else if (c === ',' && top) {
      if (top.list) top.step = (top.step as number) + 1
      top.name = undefined
      top.from = i + 1
    } else if (c === ':' && top && !top.list && (text[i + 1] ?? ' ') === ' ') {
      top.name = bare(text.slice(top.from, i).trim())
      top.step = top.name
      top.from = i + 1
    }
  }
  const top = stack[stack.length - 1]
  if (!top) return spot
  const path = [...spot.path]
  stack.forEach((s, i) => {
    if (s.list || s.name !== undefined || i < stack.length - 1) path.push(s.step)
  })
  return { ...spot, path, name: top.list ? '' : top.name, from: top.from + text.slice(top.from).search(/\S|$/), flow: true }
}

/** namesIn are the keys that the object at a path has already. */
export function namesIn(d: Document, path: Step[]): Set<string> {
  return new Set(d.entries.filter((e) => e.path.length === path.length + 1 && path.every((s, i) => s === e.path[i])).map((e) => e.name))
}
