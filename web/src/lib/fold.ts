import type { SignalsEdge as GraphEdge, SignalsGraph as Graph, SignalsNode as GraphNode, SignalsTraffic as Traffic } from '../api/schema.gen'

/** Folded is a graph in which whole namespaces may be one node each. */
export interface Folded {
  nodes: FoldedNode[]
  edges: FoldedEdge[]
}

export type FoldedNode = GraphNode & { services?: number }

/** FoldedEdge is all that one sends to another; parts are its protocols, or what was folded. */
export type FoldedEdge = GraphEdge & { parts: GraphEdge[] }

const prefix = 'namespace:'

export const namespaceOf = (id: string): string | undefined => (id.startsWith(prefix) ? id.slice(prefix.length) : undefined)

/** fold makes one node of each namespace for which open is false. */
export function fold(g: Graph, open: (namespace: string) => boolean): Folded {
  const nodes = new Map<string, FoldedNode>()
  const idOf = new Map<string, string>()
  for (const n of g.nodes ?? []) {
    const foldable = n.kind === 'service' && !n.trustDomain && !open(n.namespace ?? '')
    const id = foldable ? prefix + (n.namespace ?? '') : n.id
    idOf.set(n.id, id)
    if (!foldable) {
      nodes.set(id, n)
      continue
    }
    const f = nodes.get(id) ?? { id, kind: 'namespace', namespace: n.namespace, name: n.namespace, in: nothing, out: nothing, open: 0, proxies: 0, services: 0 }
    nodes.set(id, { ...f, in: sum(f.in, n.in), out: sum(f.out, n.out), open: f.open + n.open, proxies: f.proxies + n.proxies, services: (f.services ?? 0) + 1 })
  }
  const edges = new Map<string, FoldedEdge>()
  for (const e of g.edges ?? []) {
    const source = idOf.get(e.source) ?? e.source
    const destination = idOf.get(e.destination) ?? e.destination
    if (source === destination) continue // what stays inside a folded namespace
    const id = `${source}>${destination}`
    // Protocols between the same two share a line, whose latencies are those of the busiest: streams last as long as they like.
    const f = edges.get(id)
    edges.set(id, f ? { ...f, ...sum(f, e), ...(f.parts.every((p) => p.id === e.id) ? busiest([...f.parts, e]) : {}), parts: [...f.parts, e], protocol: f.protocol.includes(e.protocol) ? f.protocol : `${f.protocol}, ${e.protocol}`, mutualTLS: share(f.requests, f.mutualTLS, e.requests, e.mutualTLS), open: f.open + e.open } : { ...e, id, source, destination, parts: [e] })
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] }
}

const busiest = (list: Traffic[]) => {
  const { p50, p95, p99 } = list.reduce((a, b) => (b.requests > a.requests ? b : a))
  return { p50, p95, p99 }
}

const nothing: Traffic = { count: 0, requests: 0, errors: 0, p50: 0, p95: 0, p99: 0, requestBytes: 0, responseBytes: 0, classes: [] }

const share = (n: number, a: number, m: number, b: number) => (n + m ? (n * a + m * b) / (n + m) : 0)

// Percentiles cannot be added; the worst stands for all.
function sum(a: Traffic, b: Traffic): Traffic {
  return {
    count: a.count + b.count,
    requests: a.requests + b.requests,
    errors: share(a.requests, a.errors, b.requests, b.errors),
    p50: Math.max(a.p50, b.p50),
    p95: Math.max(a.p95, b.p95),
    p99: Math.max(a.p99, b.p99),
    requestBytes: a.requestBytes + b.requestBytes,
    responseBytes: a.responseBytes + b.responseBytes,
    classes: Array.from({ length: 6 }, (_, i) => (a.classes?.[i] ?? 0) + (b.classes?.[i] ?? 0)),
  }
}
