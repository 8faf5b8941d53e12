import { isList, isObject, type KindOf, type Schema, type Schemas } from './schema'

const gateway = 'gateway.networking.k8s.io'
const target = (kind: string, name: string) => `  targetRefs: [{group: ${gateway}, kind: ${kind}, name: ${name}}]\n`

// What a schema cannot tell: what one usually begins with. Other kinds begin with what they need.
const specs: Record<string, string> = {
  Gateway: 'spec:\n  gatewayClassName: gridway\n  listeners:\n  - {name: http, port: 8080, protocol: HTTP}\n',
  HTTPRoute: 'spec:\n  parentRefs: [{name: edge}]\n  rules:\n  - matches: [{path: {type: PathPrefix, value: /api}}]\n    backendRefs: [{group: gridway.dev, kind: Backend, name: app}]\n',
  GRPCRoute: 'spec:\n  parentRefs: [{name: edge}]\n  rules:\n  - matches: [{method: {service: shop.v1.Catalog}}]\n    backendRefs: [{group: gridway.dev, kind: Backend, name: app}]\n',
  TCPRoute: 'spec:\n  parentRefs: [{name: edge}]\n  rules:\n  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]\n',
  TLSRoute: 'spec:\n  parentRefs: [{name: edge}]\n  hostnames: [db.example]\n  rules:\n  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]\n',
  UDPRoute: 'spec:\n  parentRefs: [{name: edge}]\n  rules:\n  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]\n',
  Backend: 'spec:\n  endpoints:\n  - address: 127.0.0.1:9001\n',
  TrafficPolicy: `spec:\n${target('HTTPRoute', 'app')}  timeouts: {request: 10s}\n  retry: {attempts: 2}\n`,
  RateLimitPolicy: `spec:\n${target('HTTPRoute', 'app')}  limits:\n  - {key: client, rate: 100/s, burst: 200}\n`,
  Service: 'spec:\n  ports:\n  - {name: http, port: 80}\n',
  Secret: 'stringData:\n  name: value\n',
  ConfigMap: 'data:\n  name: value\n',
}

/** templateOf is what a new object of a kind begins with. */
export function templateOf(schemas: Schemas, k: KindOf): string {
  const head = `apiVersion: ${k.apiVersion}\nkind: ${k.kind}\nmetadata:\n  name: ${k.kind.toLowerCase()}\n`
  if (specs[k.kind]) return head + specs[k.kind]
  const spec = schemas.at(k.schema, ['spec'])
  if (!spec) return head
  const lines = required(schemas, spec, '  ', 0)
  return head + (lines ? `spec:\n${lines}` : 'spec: {}\n')
}

/** required writes the fields that an object must have, with something of their type. */
function required(schemas: Schemas, s: Schema, indent: string, depth: number): string {
  return (s.required ?? [])
    .map((name) => {
      if (name === 'targetRefs') return indent === '  ' ? target('HTTPRoute', 'app') : ''
      const p = schemas.at(s, [name])
      if (isList(p)) {
        const item = schemas.resolve(p!.items)
        const inner = isObject(item) && depth < 4 ? required(schemas, item!, `${indent}  `, depth + 1).trimStart() || '{}\n' : `${valueOf(item)}\n`
        return `${indent}${name}:\n${indent}- ${inner}`
      }
      if (isObject(p)) {
        const inner = depth < 4 ? required(schemas, p!, `${indent}  `, depth + 1) : ''
        return inner ? `${indent}${name}:\n${inner}` : `${indent}${name}: {}\n`
      }
      return `${indent}${name}: ${valueOf(p)}\n`
    })
    .join('')
}

function valueOf(s: Schema | undefined): string {
  if (s?.default !== undefined) return JSON.stringify(s.default)
  if (s?.enum) return String(s.enum[0])
  switch ([s?.type].flat()[0]) {
    case 'integer':
    case 'number':
      return String(s?.minimum ?? 1)
    case 'boolean':
      return 'true'
  }
  return '""'
}
