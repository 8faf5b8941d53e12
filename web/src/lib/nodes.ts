import type { SignalsNode as GraphNode, SignalsTraffic as Traffic } from '../api/schema.gen'
import { to } from './router'
import type { Tone } from '../ui/badge'

/** labelOf is what people call a node of the service graph. */
export function labelOf(n: Pick<GraphNode, 'id' | 'kind' | 'name'>): string {
  switch (n.kind) {
    case 'internet':
      return 'Clients'
    case 'unknown':
      return 'Without identity'
    case 'other':
      return 'All others'
  }
  return n.name || n.id.replace(/^\w+:/, '')
}

/** toneOf judges by the share of errors. */
export const toneOf = (t: Traffic): Tone => (t.count === 0 ? 'muted' : t.errors >= 0.05 ? 'bad' : t.errors >= 0.01 ? 'warn' : 'good')

/** nodeLink is the page of what a node stands for, if it has one. */
export function nodeLink(n: GraphNode): string | undefined {
  if (n.kind === 'service' && !n.trustDomain) return to('services', `Service/${n.namespace}/${n.name}`)
  return n.kind === 'backend' ? to('services', `Backend/${n.namespace}/${n.name}`) : undefined
}

/** serves are the nodes that answer: services, Backends, and hosts outside. */
export const serves = (n: GraphNode): boolean => n.kind === 'service' || n.kind === 'backend' || n.kind === 'external'
