import type { SignalsEdge as GraphEdge, SignalsGraph as Graph } from '../api/schema.gen'
import { latency, percent, rate } from '../lib/format'
import { labelOf, nodeLink } from '../lib/nodes'
import { Link } from '../lib/router'
import { Badge } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Empty } from '../ui/state'
import { type Column, Table } from '../ui/table'

/** Calls are who calls a node of the graph, or whom it calls. */
export function Calls({ graph, id, direction }: { graph: Graph; id: string; direction: 'in' | 'out' }) {
  const end = (e: GraphEdge) => (direction === 'in' ? e.source : e.destination)
  const nodes = new Map((graph.nodes ?? []).map((n) => [n.id, n]))
  const name = (e: GraphEdge) => (nodes.has(end(e)) ? labelOf(nodes.get(end(e))!) : end(e))
  const columns: Column<GraphEdge>[] = [
    {
      name: direction === 'in' ? 'Caller' : 'Service',
      by: name,
      of: (e) => {
        const link = nodes.has(end(e)) ? nodeLink(nodes.get(end(e))!) : undefined
        return (
          <>
            {link ? <Link to={link}>{name(e)}</Link> : name(e)} {e.protocol !== 'HTTP' && <span className="kind">{e.protocol}</span>}
          </>
        )
      },
    },
    { name: 'Mutual TLS', minor: true, by: (e) => e.mutualTLS, of: (e) => <Badge tone={e.mutualTLS > 0.999 ? 'good' : e.mutualTLS > 0 ? 'warn' : 'muted'}>{e.mutualTLS > 0.999 ? 'yes' : e.mutualTLS > 0 ? percent(e.mutualTLS) : 'no'}</Badge> },
    { name: 'Requests/s', number: true, by: (e) => e.requests, of: (e) => rate(e.requests) },
    { name: 'Errors', number: true, by: (e) => e.errors, of: (e) => <span className={e.errors >= 0.01 ? 'tone-bad' : 'quiet'}>{percent(e.errors)}</span> },
    { name: 'p99', number: true, by: (e) => e.p99, of: (e) => latency(e.p99) },
  ]
  return (
    <Panel title={direction === 'in' ? 'Called by' : 'Calls'} note="in the last 5 minutes" flush>
      <Table label={direction === 'in' ? 'Callers' : 'Called'} columns={columns} rows={(graph.edges ?? []).filter((e) => (direction === 'in' ? e.destination : e.source) === id)} rowKey={(e) => `${e.id} ${e.protocol}`} first="-Requests/s" most={20} empty={<Empty title={direction === 'in' ? 'Nobody has called it' : 'It has called nobody'}>In the last 5 minutes, as far as proxies have seen.</Empty>} />
    </Panel>
  )
}
