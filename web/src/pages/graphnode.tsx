import type { SignalsEdge as GraphEdge, SignalsNode as GraphNode } from '../api/schema.gen'
import { useSeries } from '../api/signals'
import { latency, percent, rate } from '../lib/format'
import { Link } from '../lib/router'
import { Latencies, Rates } from '../ui/chart'
import { Icon } from '../ui/icon'
import { Facts, Panel } from '../ui/panel'
import { labelOf, nodeLink } from '../lib/nodes'

interface BesideProps {
  n: GraphNode
  edges: GraphEdge[]
  byID: Map<string, GraphNode>
  close: () => void
}

/** Beside is the node that was chosen: how it goes, who calls it, and whom it calls. */
export function Beside({ n, edges, byID, close }: BesideProps) {
  const past = useSeries(`node:${n.id}`, `node ${n.id}`)
  const callers = edges.filter((e) => e.destination === n.id)
  const called = edges.filter((e) => e.source === n.id)
  const link = nodeLink(n)
  return (
    <Panel
      title={labelOf(n)}
      note={n.kind}
      actions={
        <>
          {link && <Link to={link}>Open</Link>}
          <button type="button" className="button bare" onClick={close}>
            <Icon name="close" />
            <span className="hidden">Close</span>
          </button>
        </>
      }
    >
      <div className="stack">
        {n.in.count > 0 && (
          <>
            <Facts
              of={[
                ['Gets', `${rate(n.in.requests)} requests/s`],
                ['Errors', percent(n.in.errors)],
                ['p50, p95, p99', `${latency(n.in.p50)}, ${latency(n.in.p95)}, ${latency(n.in.p99)}`],
              ]}
            />
            <Rates of={past} label={`Requests and errors per second of ${labelOf(n)}`} />
            <Latencies of={past} label={`Latency of ${labelOf(n)}`} />
          </>
        )}
        <List title="Called by" edges={callers} end={(e) => e.source} byID={byID} />
        <List title="Calls" edges={called} end={(e) => e.destination} byID={byID} />
      </div>
    </Panel>
  )
}

function List({ title, edges, end, byID }: { title: string; edges: GraphEdge[]; end: (e: GraphEdge) => string; byID: Map<string, GraphNode> }) {
  if (!edges.length) return null
  return (
    <div>
      <h3>{title}</h3>
      <Facts
        of={[...edges]
          .sort((a, b) => b.requests - a.requests)
          .slice(0, 12)
          .map((e) => {
            const other = byID.get(end(e))
            return [`${other ? labelOf(other) : end(e)}${e.protocol === 'HTTP' ? '' : ` (${e.protocol})`}`, `${rate(e.requests)} /s, ${percent(e.errors)} errors, p99 ${latency(e.p99)}${e.mutualTLS < 0.999 ? ', not all mutual TLS' : ''}`]
          })}
      />
    </div>
  )
}
