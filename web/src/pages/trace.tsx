import { type ReactNode, useState } from 'react'
import type { Hop, Trace, TraceTry, TraceUnreached as Proxy } from '../api/schema.gen'
import { useMaybe } from '../api/queries'
import { bytes, latency, plural } from '../lib/format'
import { clusterLabel, refOf, serviceOf, short } from '../lib/names'
import { Link, to } from '../lib/router'
import { beginsOf } from '../lib/timeline'
import { Page } from '../shell'
import { Badge } from '../ui/badge'
import { Facts, Panel, Stat, Stats } from '../ui/panel'
import { Ago, ObjectLink, RouteName, Where } from '../ui/small'
import { Shown } from '../ui/state'
import { outcome } from './traces'

export function TracePage({ id, request }: { id: string; request?: boolean }) {
  const trace = useMaybe<Trace>(request ? `/v1/requests/${encodeURIComponent(id)}` : `/v1/traces/${encodeURIComponent(id)}`, {}, false)
  const root = trace.data?.hops?.[0]
  return (
    <Page title={root ? `${root.method ?? root.protocol ?? ''} ${root.path ?? ''}`.trim() : request ? 'Request' : 'Trace'} crumbs={[['Traces', '/traces']]} about={<code>{id}</code>} actions={trace.data && <Link className="button" to={`/traces?a=${trace.data.hops[0]?.traceID ?? ''}`}>Compare with another</Link>}>
      <Shown of={trace} what={request ? 'record of this request' : 'record of this trace'}>
        {(t) => <Waterfall t={t} />}
      </Shown>
    </Page>
  )
}

export function Unreached({ list }: { list?: Proxy[] | null }) {
  if (!list?.length) return null
  return (
    <p className="notice" role="status">
      {plural(list.length, 'proxy', 'proxies')} could not be asked: {list.map((u) => `${u.proxy} (${u.why})`).join(', ')}
    </p>
  )
}

interface Bar {
  key: string
  depth: number
  label: ReactNode
  /** from and to are nanoseconds since the trace began. */
  from: number
  to: number
  tone: '' | 'bad' | 'quiet'
  detail: ReactNode
}

function barsOf(hops: Hop[]): { bars: Bar[]; total: number } {
  const begins = beginsOf(hops)
  const bars = hops.flatMap((h, i): Bar[] => {
    const from = begins[i]!
    const tries = h.tries ?? []
    const own: Bar = { key: h.spanID, depth: h.depth * 2, label: <HopName h={h} />, from, to: from + h.duration, tone: h.failed ? 'bad' : '', detail: <HopDetail h={h} /> }
    // One try that went well adds nothing to the hop's own bar.
    if (tries.length < 2 && !tries.some((t) => t.reason)) return [own]
    return [own, ...tries.map((t): Bar => ({ key: `${h.spanID} ${t.number}`, depth: h.depth * 2 + 1, label: <TryName t={t} />, from: from + t.start, to: from + t.end, tone: t.reason || (t.status ?? 0) >= 500 ? 'bad' : 'quiet', detail: <TryDetail t={t} /> }))]
  })
  return { bars, total: Math.max(1, ...bars.map((b) => b.to)) }
}

function Waterfall({ t }: { t: Trace }) {
  const hops = t.hops ?? []
  const { bars, total } = barsOf(hops)
  const [open, setOpen] = useState<string | undefined>(bars[0]?.key)
  const root = hops[0]
  if (!root) return null
  const [tone, word] = outcome(root)
  return (
    <div className="stack">
      <Stats label="The trace">
        <Stat name="Outcome" value={<Badge tone={tone}>{word}</Badge>} note={root.reason} />
        <Stat name="Took" value={latency(total)} />
        <Stat name="Hops" value={hops.length} note={plural(hops.reduce((n, h) => n + (h.tries?.length ?? 0), 0), 'try', 'tries')} />
        <Stat name="Began" value={<span className="word"><Ago at={root.start} /></span>} />
        <Stat name="Request ID" value={<code className="where">{root.requestID || '–'}</code>} />
      </Stats>
      <Unreached list={t.unreached} />
      <Panel title="Waterfall" note="choose a line for what happened there" flush>
        <ol className="waterfall">
          {bars.map((b) => (
            <li key={b.key}>
              <button type="button" className="row" aria-expanded={open === b.key} onClick={() => setOpen(open === b.key ? undefined : b.key)}>
                <span className="label" style={{ paddingLeft: b.depth * 12 }}>
                  {b.label}
                </span>
                <span className="track" aria-hidden="true">
                  <span className={`span ${b.tone}`} style={{ left: `${(b.from / total) * 100}%`, width: `${((b.to - b.from) / total) * 100}%` }} />
                </span>
                <span className="time">{latency(b.to - b.from)}</span>
              </button>
              {open === b.key && <div className="detail">{b.detail}</div>}
            </li>
          ))}
        </ol>
      </Panel>
    </div>
  )
}

// Rules without a name have one that repeats the route's.
const ruleName = (rule?: string) => rule?.replace(/^.*\/rules\//, 'rule ') ?? ''

const sides: Record<string, string> = { edge: 'at the edge', inbound: 'into', outbound: 'out to' }

export function HopName({ h }: { h: Hop }) {
  return (
    <>
      {h.failed && <span className="tone-bad">✕ </span>}
      <span className="quiet">{sides[h.side] ?? h.side} </span>
      {h.of ? short(refOf(h.of)) : h.proxy}
    </>
  )
}

const TryName = ({ t }: { t: TraceTry }) => (
  <>
    <span className="quiet">{t.kind === 'first' ? 'try' : t.kind} {t.number} </span>
    {t.endpoint}
  </>
)

function HopDetail({ h }: { h: Hop }) {
  const [tone, word] = outcome(h)
  return (
    <div className="stack">
      <Facts
        of={[
          ['Request', <code>{h.method} {h.host}{h.path}</code>],
          ['Outcome', <><Badge tone={tone}>{word}</Badge> {h.grpcStatus && h.status ? `in an HTTP status of ${h.status}` : ''} {h.reason} {h.detail}</>],
          ['Proxy', h.proxy || 'this process'],
          ['Route', h.route ? <><RouteName of={h.route} /> {ruleName(h.rule)} <Where place={h.place} /></> : 'none matched'],
          ['Sent to', h.cluster ? <><Link to={to('services', h.cluster)}>{clusterLabel(h.cluster)}</Link> {h.endpoint}{h.endpointIdentity && `, ${serviceOf(h.endpointIdentity)}`}</> : 'nobody'],
          ['From', [h.consumer && `consumer ${h.consumer}${h.authMethod ? ` by ${h.authMethod}` : ''}`, h.peerIdentity && serviceOf(h.peerIdentity), h.client].filter(Boolean).join(', ') || '–'],
          ['Bytes', `${bytes(h.requestBytes)} in, ${bytes(h.responseBytes)} out`],
          ...(h.flags ? ([['Flags', h.flags]] as [string, ReactNode][]) : []),
        ]}
      />
      {h.decisions?.length ? (
        <ul className="decisions">
          {h.decisions.map((d, i) => (
            <li key={i}>
              <Badge tone={d.verdict === 'denied' || d.verdict === 'limited' ? 'bad' : d.verdict === 'allowed' ? 'good' : 'info'}>{d.verdict}</Badge> {d.kind ? <ObjectLink of={`${d.kind}/${d.policy}`} /> : d.policy} <span className="quiet">{d.rule}</span> <Where place={d.place} />
            </li>
          ))}
        </ul>
      ) : null}
      {h.tries?.length === 1 && <TryDetail t={h.tries[0]!} />}
    </div>
  )
}

function TryDetail({ t }: { t: TraceTry }) {
  return (
    <p className="quiet">
      {t.endpoint}: {t.connected ? `connected after ${latency(t.connected - t.start)}, ` : 'on a connection that was there, '}
      {t.head ? `first byte after ${latency(t.head - t.start)}, ` : 'no answer, '}
      ended after {latency(t.end - t.start)}
      {t.grpcStatus ? `, gRPC status ${t.grpcStatus}${t.status ? ` in an HTTP status of ${t.status}` : ''}` : t.status ? `, status ${t.status}` : ''}
      {t.reason ? `, ${t.reason}` : ''}
    </p>
  )
}
