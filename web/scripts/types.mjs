// Writes src/api/schema.gen.ts from the OpenAPI document of the admin API: an interface for
// each schema that a reply or a request of the console's paths needs, and which path has which.
import { readFileSync, writeFileSync } from 'node:fs'

const document = JSON.parse(readFileSync(new URL('../../docs/reference/admin-api.openapi.json', import.meta.url), 'utf8'))
const schemas = document.components.schemas

// What the console shows as it comes, without knowing its fields.
const opaque = new Set(['/v1/config'])
// What no page of it asks for.
const foreign = (path) => path.startsWith('/debug/') || path === '/openapi.json' || path.startsWith('/v1/consumers')

// Names that TypeScript has given away.
const renamed = { Object: 'ConfigObject' }
const nameOf = (ref) => {
  const name = ref.replace('#/components/schemas/', '').split('.').map((word) => word[0].toUpperCase() + word.slice(1)).join('')
  return renamed[name] ?? name
}
const wanted = new Map()

function typeOf(schema) {
  if (schema.$ref) {
    const key = schema.$ref.replace('#/components/schemas/', '')
    if (!wanted.has(key)) {
      wanted.set(key, '')
      wanted.set(key, interfaceOf(key))
    }
    return nameOf(schema.$ref)
  }
  const types = [schema.type ?? 'unknown'].flat()
  return types.map((type) => simple(type, schema)).join(' | ')
}

function simple(type, schema) {
  switch (type) {
    case 'array': {
      const item = typeOf(schema.items)
      return item.includes(' ') ? `(${item})[]` : `${item}[]`
    }
    case 'integer':
    case 'number':
      return 'number'
    case 'object':
      return schema.additionalProperties ? `Record<string, ${typeOf(schema.additionalProperties)}>` : 'Record<string, unknown>'
    default:
      return type
  }
}

function interfaceOf(key) {
  const schema = schemas[key]
  const required = new Set(schema.required ?? [])
  const fields = Object.keys(schema.properties ?? {}).sort().map((name) => {
    const p = schema.properties[name]
    const note = p.description ? `  /** ${p.description} */\n` : ''
    return `${note}  ${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}${required.has(name) ? '' : '?'}: ${typeOf(p)}\n`
  })
  return `export interface ${nameOf(key)} {\n${fields.join('')}}\n`
}

// A stream is told by one of its lines.
const bodyOf = (part) => (part?.content?.['application/json'] ?? part?.content?.['application/x-ndjson'])?.schema
const tables = { get: [], post: [], delete: [], put: [], patch: [] }
for (const path of Object.keys(document.paths).sort()) {
  if (foreign(path)) continue
  for (const [method, op] of Object.entries(document.paths[path])) {
    const success = Object.keys(op.responses).find((code) => code.startsWith('2'))
    const reply = bodyOf(op.responses[success])
    const gives = opaque.has(path) ? 'unknown' : reply ? typeOf(reply) : 'undefined'
    const takes = bodyOf(op.requestBody)
    tables[method].push(`  '${path}': ${method === 'get' ? gives : `{ takes: ${takes ? typeOf(takes) : 'undefined'}; gives: ${gives} }`}\n`)
  }
}
const interfaces = [...wanted.keys()].sort().map((key) => wanted.get(key))
const map = (name, about, rows) => `/** ${about} */\nexport interface ${name} {\n${rows.join('')}}\n`
writeFileSync(
  new URL('../src/api/schema.gen.ts', import.meta.url),
  ['// Written by scripts/types.mjs from docs/reference/admin-api.openapi.json. Do not edit.\n',
    map('Gets', 'What GET of each path answers.', tables.get),
    map('Posts', 'What POST of each path takes and answers.', tables.post), ...interfaces].join('\n'),
)
