import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete'
import type { EditorView, Tooltip } from '@codemirror/view'
import { isList, isObject, type Schema, type Schemas, typeText } from './schema'
import { documentAt, namesIn, type Spot, spotAt } from './yamlpath'

/** Names are the objects that there are: names by kind. */
export type Names = Map<string, string[]>

const word = /[\w./:*-]*$/

/** complete offers what may be written at a place: names of fields, values, kinds, names of objects. */
export function complete(context: CompletionContext, schemas: Schemas | undefined, names: Names): CompletionResult | null {
  if (!schemas) return null
  const doc = context.state.doc
  const line = doc.lineAt(context.pos)
  const spot = spotAt(doc.toString().split('\n'), line.number - 1, context.pos - line.from)
  const typed = word.exec(line.text.slice(0, context.pos - line.from))![0]
  if (!typed && !context.explicit && spot.name === undefined) return null
  const options = spot.name === undefined ? fields(spot, schemas) : values(spot, schemas, names)
  return options.length ? { from: context.pos - typed.length, options, validFor: /^[\w./:*-]*$/ } : null
}

const kindAt = (spot: Spot, schemas: Schemas) => schemas.of(spot.document.apiVersion, spot.document.kind)?.schema

/** fields are those that the object at the place may have and has not. */
function fields(spot: Spot, schemas: Schemas): Completion[] {
  const top = spot.path.length === 0
  const s: Schema | undefined = kindAt(spot, schemas) ? schemas.at(kindAt(spot, schemas), spot.path) : top ? { properties: { apiVersion: {}, kind: {}, metadata: { type: 'object' }, spec: { type: 'object' } } } : undefined
  const there = namesIn(spot.document, spot.path)
  const needed = new Set(s?.required ?? [])
  return Object.entries(s?.properties ?? {})
    .filter(([name]) => !there.has(name) && !(top && name === 'status'))
    .map(([name, raw]) => {
      const p = schemas.resolve(raw)!
      return { label: name, type: 'property', detail: (needed.has(name) ? 'needed, ' : '') + typeText(p), info: p.description, boost: needed.has(name) ? 10 : 0, apply: name + after(p, spot) }
    })
}

/** after is what follows the name of a field, so that its value can be written at once. */
function after(p: Schema, spot: Spot): string {
  const inner = `\n${' '.repeat(spot.from + 2)}`
  if (spot.flow) return isList(p) ? ': []' : isObject(p) ? ': {}' : ': '
  if (isList(p)) return `:\n${' '.repeat(spot.from)}- `
  return isObject(p) ? `:${inner}` : ': '
}

function values(spot: Spot, schemas: Schemas, names: Names): Completion[] {
  const { path } = spot
  if (path.length === 1 && path[0] === 'kind') return [...new Set(schemas.kinds.map((k) => k.kind))].map((label) => ({ label, type: 'class', info: first(schemas.of('', label)?.schema.description) }))
  if (path.length === 1 && path[0] === 'apiVersion') return [...new Set(schemas.kinds.map((k) => k.apiVersion))].map((label) => ({ label, type: 'namespace' }))
  const s = schemas.at(kindAt(spot, schemas), path)
  if (s?.enum) return s.enum.map((v) => ({ label: String(v), type: 'enum' }))
  if (s?.type === 'boolean') return ['true', 'false'].map((label) => ({ label, type: 'keyword' }))
  if (path[path.length - 1] === 'name' && path.some((step) => /Refs?$/.test(String(step)))) return objects(spot, names)
  return s?.default !== undefined && typeof s.default !== 'object' ? [{ label: String(s.default), detail: 'the default', type: 'constant' }] : []
}

/** objects are the names that a reference may have, those of its kind if it says which. */
function objects(spot: Spot, names: Names): Completion[] {
  const parent = spot.path.slice(0, -1)
  const kind = spot.document.entries.find((e) => e.name === 'kind' && e.path.length === parent.length + 1 && parent.every((s, i) => s === e.path[i]))?.value
  const usual = kind ?? (spot.path.includes('parentRefs') ? 'Gateway' : undefined)
  return [...names].filter(([k]) => !usual || k === usual).flatMap(([k, list]) => list.map((label) => ({ label, detail: k, type: 'variable' })))
}

const first = (text?: string) => text?.split('\n\n')[0]

/** describe says what the field below a place is. */
export function describe(view: EditorView, at: number, schemas: Schemas | undefined): Tooltip | null {
  const line = view.state.doc.lineAt(at)
  const column = at - line.from
  const document = documentAt(view.state.doc.toString().split('\n'), line.number - 1)
  const entry = document.entries.find((e) => e.line === line.number - 1 && e.column <= column && column <= e.end)
  const s = entry && schemas?.at(schemas.of(document.apiVersion, document.kind)?.schema, entry.path)
  if (!s) return null
  return {
    pos: line.from + entry.column,
    end: line.from + entry.end,
    above: true,
    create() {
      const dom = window.document.createElement('div')
      dom.className = 'about'
      const name = window.document.createElement('b')
      name.textContent = entry.name
      const type = window.document.createElement('span')
      type.className = 'type'
      type.textContent = typeText(s)
      dom.append(name, type, s.description ?? '')
      return { dom }
    },
  }
}
