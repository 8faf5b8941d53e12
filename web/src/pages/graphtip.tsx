import type { FoldedEdge } from '../lib/fold'
import { bytes, latency, percent, rate } from '../lib/format'
import { refOf, routeOf, short } from '../lib/names'

/** Tip is what is known of the line that is pointed at, by protocol. The list below the graph says the same. */
export function Tip({ e, name }: { e: FoldedEdge; name: (id: string) => string }) {
  const routes = e.parts.flatMap((p) => p.routes ?? []).sort((a, b) => b.requests - a.requests)
  return (
    <div className="tip" aria-hidden="true">
      <b>
        {name(e.source)} → {name(e.destination)}
      </b>
      {e.parts.slice(0, 4).map((p) => (
        <p key={`${p.id} ${p.protocol}`}>
          <span className="kind">{p.protocol}</span> {rate(p.requests)} /s, <span className={p.errors >= 0.01 ? 'tone-bad' : ''}>{percent(p.errors)} errors</span>
          <br />
          p50 {latency(p.p50)}, p95 {latency(p.p95)}, p99 {latency(p.p99)}
          <br />
          {bytes(p.requestBytes)}/s out, {bytes(p.responseBytes)}/s back{p.open > 0 && `, ${p.open} open`}
          <br />
          {p.mutualTLS > 0.999 ? 'mutual TLS' : p.mutualTLS > 0 ? `${percent(p.mutualTLS)} mutual TLS` : 'no mutual TLS'}
        </p>
      ))}
      {e.parts.length > 4 && <p>and {e.parts.length - 4} more</p>}
      {routes.length > 0 && <p className="quiet">{routes.slice(0, 4).map((r) => `${short(refOf(routeOf(r.route))).replace('/inbound', '')} ${rate(r.requests)}/s`).join(', ')}</p>}
    </div>
  )
}
