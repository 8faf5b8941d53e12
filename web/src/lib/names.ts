import type { ConfigObject, Place } from '../api/schema.gen'

/** Ref is an object by name: "HTTPRoute/default/cart", "GatewayClass/gridway". */
export interface Ref {
  kind: string
  namespace: string
  name: string
}

export function refOf(text: string): Ref {
  const [kind = '', second = '', ...rest] = text.split('/')
  return rest.length ? { kind, namespace: second, name: rest.join('/') } : { kind, namespace: '', name: second }
}

export const keyOf = (o: Pick<ConfigObject, 'kind' | 'namespace' | 'name'>): string => (o.namespace ? `${o.kind}/${o.namespace}/${o.name}` : `${o.kind}/${o.name}`)

/** short leaves out the namespace that everybody has. */
export const short = (r: Ref): string => (r.namespace && r.namespace !== 'default' ? `${r.namespace}/${r.name}` : r.name)

/** routeOf takes away what tells variants of one route apart. */
export const routeOf = (name: string): string => name.replace(/~[^/]*$/, '')

export interface ClusterName extends Ref {
  port: string
}

/** clusterOf reads "Service/default/cart:80~6d8db34b", with the variant taken away. */
export function clusterOf(name: string): ClusterName {
  const r = refOf(name.replace(/~.*$/, ''))
  const at = r.name.lastIndexOf(':')
  return at < 0 ? { ...r, port: '' } : { ...r, name: r.name.slice(0, at), port: r.name.slice(at + 1) }
}

export const clusterLabel = (name: string): string => {
  const c = clusterOf(name)
  return short(c) + (c.port ? `:${c.port}` : '')
}

/** fileName is the end of a path, which is what people look for. */
export const fileName = (p?: Place): string => {
  if (!p?.file) return ''
  return p.file.slice(p.file.lastIndexOf('/') + 1) + (p.line ? `:${p.line}` : '')
}

export const wholePlace = (p?: Place): string => (p?.file ? `${p.file}${p.line ? `:${p.line}` : ''}${p.column ? `:${p.column}` : ''}` : '')

/** serviceOf is the last part of a SPIFFE ID, by which people know a workload. */
export const serviceOf = (id: string): string => id.replace(/^spiffe:\/\/[^/]*\//, '').replace(/^ns\/([^/]+)\/sa\//, (_, ns: string) => (ns === 'default' ? '' : `${ns}/`))
