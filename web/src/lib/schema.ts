import type { Step } from './yamlpath'

/** Schema is as much of JSON Schema as the kinds use. */
export interface Schema {
  $ref?: string
  $defs?: Record<string, Schema>
  type?: string | string[]
  description?: string
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  required?: string[]
  enum?: unknown[]
  const?: unknown
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  pattern?: string
}

/** KindOf is one kind in one version. */
export interface KindOf {
  apiVersion: string
  kind: string
  schema: Schema
}

/** Schemas answers by path what may be written there. */
export class Schemas {
  readonly kinds: KindOf[]

  constructor(private readonly root: Schema) {
    this.kinds = Object.values(root.$defs ?? {})
      .filter((s) => s.properties?.kind?.const && s.properties.apiVersion?.const)
      .map((s) => ({ apiVersion: String(s.properties!.apiVersion!.const), kind: String(s.properties!.kind!.const), schema: s }))
      .sort((a, b) => a.kind.localeCompare(b.kind) || a.apiVersion.localeCompare(b.apiVersion))
  }

  /** of finds a kind; without a version that it knows it is the first, v1 before others. */
  of(apiVersion: string, kind: string): KindOf | undefined {
    const list = this.kinds.filter((k) => k.kind === kind)
    return list.find((k) => k.apiVersion === apiVersion) ?? list[0]
  }

  resolve(s: Schema | undefined): Schema | undefined {
    for (let i = 0; s?.$ref && i < 10; i++) s = { ...this.root.$defs?.[s.$ref.replace('#/$defs/', '')], ...(s.description ? { description: s.description } : {}) }
    return s
  }

  /** at follows a path from a schema. */
  at(from: Schema | undefined, path: Step[]): Schema | undefined {
    let s = this.resolve(from)
    for (const step of path) {
      const next: Schema | boolean | undefined = typeof step === 'number' ? s?.items : (s?.properties?.[step] ?? s?.additionalProperties)
      s = typeof next === 'object' ? this.resolve(next) : undefined
    }
    return s
  }
}

/** typeText says in a few words what a value may be. */
export function typeText(s: Schema): string {
  const type = [s.type ?? (s.enum ? 'string' : 'object')].flat().join(' or ')
  if (s.enum) return s.enum.join(' | ')
  const bounds = [s.minimum !== undefined && `from ${s.minimum}`, s.maximum !== undefined && `to ${s.maximum}`, s.maxLength !== undefined && `at most ${s.maxLength} characters`].filter(Boolean).join(' ')
  return [type === 'array' ? 'list' : type, bounds].filter(Boolean).join(', ') + (s.default !== undefined ? `; default ${JSON.stringify(s.default)}` : '')
}

export const isObject = (s: Schema | undefined): boolean => s?.type === 'object' || !!s?.properties
export const isList = (s: Schema | undefined): boolean => s?.type === 'array'
