import { type Answer, useClusters, useMaybe, useStatus, useTop } from '../api/queries'
import type { MetricRouteStats, SignalsEdge as GraphEdge, SignalsGraph as Graph, SignalsNode as GraphNode, Traces } from '../api/schema.gen'
import { useLately, useSeries } from '../api/signals'
import type { Matter } from '../lib/attention'
import { count, latency, percent, plural, rate } from '../lib/format'
import { all, busy, ofRule, useHistory } from '../lib/history'
import { refOf, short } from '../lib/names'
import { labelOf, nodeLink, serves, toneOf } from '../lib/nodes'
import { Link, to } from '../lib/router'
import { failing, refusalsOf } from '../lib/trouble'
import { Page, useMatters } from '../shell'
import { Badge } from '../ui/badge'
import { Latencies, Rates } from '../ui/chart'
import { Icon } from '../ui/icon'
import { Panel, Stat, Stats } from '../ui/panel'
import { Ago, Spark, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Changes } from './changes'

export function Overview() {
  const matters = useMatters()
  const refusals = useRefusals()
  const status = useStatus()
  const { now } = useLately()
  const past = useSeries('from:internet', all)
  const list = [...matters, ...refusals].sort((a, b) => rank[a.tone] - rank[b.tone])
  return (
    <Page title="Overview" about={<Shown of={status} what="status">{(s) => <Verdict ready={s.ready} state={s.state} matters={matters} />}</Shown>}>
      <div className="stack">
        <Numbers graph={now.data} />
        <div className="columns">
          <Panel title="Needs attention" note={list.length ? count(list.length) : ''} flush className="span-12">
            {status.data && <Matters list={list} />}
          </Panel>
          <Panel title="Requests" note="at the front door">
            <Rates of={past} label="Requests and errors per second at the front door, over the last minutes" />
          </Panel>
          <Panel title="Latency" note="as customers see it">
            <Latencies of={past} label="Latency at the front door, over the last minutes" />
          </Panel>
          <Panel title="Services" note="of the whole mesh, in the last 2 minutes" flush className="span-8" actions={<Link to="/graph">Who calls whom</Link>}>
            <Services graph={now} />
          </Panel>
          <Panel title="What changed lately" flush className="span-4">
            <Changes />
          </Panel>
          <Panel title="Busiest rules" note="of this process" flush className="span-12" actions={<Link to="/routes">All routes</Link>}>
            <Busiest />
          </Panel>
        </div>
      </div>
    </Page>
  )
}

const rank = { bad: 0, warn: 1, info: 2 }

/** useRefusals asks all proxies what they remember, and therefore seldom. */
function useRefusals(): Matter[] {
  const { data } = useMaybe<Traces>('/v1/traces', { errors: 'true', since: '5m', limit: 200 }, 30_000)
  return refusalsOf(data?.traces ?? [], 'the last 5 min')
}

function Verdict({ ready, state, matters }: { ready: boolean; state: string; matters: Matter[] }) {
  const serious = matters.filter((m) => m.tone === 'bad').length
  if (!ready) return <Badge tone="bad">The process is {state}</Badge>
  if (serious) return <Badge tone="bad">Serving, with {plural(serious, 'serious matter')}</Badge>
  if (matters.some((m) => m.tone === 'warn')) return <Badge tone="warn">Serving, with something to look at</Badge>
  return <Badge tone="good">All is well</Badge>
}

/** Door is what comes in, by the graph, or by the routes of the process where there is none. */
interface Door {
  requests: number
  failed: number
  p50: number
  p99: number
  slowest?: string
}

function doorOf(graph: Graph | undefined, routes: MetricRouteStats[]): Door {
  const clients = graph?.nodes?.find((n) => n.kind === 'internet')?.out
  if (clients) return { requests: clients.requests, failed: clients.requests * clients.errors, p50: clients.p50, p99: clients.p99 }
  const slowest = routes.filter(busy(routes)).reduce<MetricRouteStats | undefined>((a, r) => (!a || r.p99 > a.p99 ? r : a), undefined)
  return { requests: routes.reduce((n, r) => n + r.requests, 0), failed: routes.reduce((n, r) => n + r.requests * r.errors, 0), p50: slowest?.p50 ?? 0, p99: slowest?.p99 ?? 0, slowest: slowest?.route }
}

function Numbers({ graph }: { graph?: Graph }) {
  const { data: s } = useStatus()
  const { data: top } = useTop()
  const { data: clusters } = useClusters()
  const door = doorOf(graph, top?.routes ?? [])
  const inside = (graph?.edges ?? []).filter((e) => e.source !== 'internet')
  const services = (graph?.nodes ?? []).filter(serves)
  const endpoints = clusters?.flatMap((c) => c.endpoints) ?? []
  const healthy = endpoints.filter((e) => e.state === 'healthy').length
  return (
    <Stats label="Now">
      <Stat name="Requests" value={rate(door.requests)} unit="/s" note={inside.length ? `${rate(sum(inside, (e) => e.requests))} /s inside` : plural(s?.listeners.reduce((n, l) => n + l.connections, 0) ?? 0, 'connection')} />
      <Stat name="Errors" value={<Share of={door.failed / (door.requests || 1)} />} note={inside.length ? <>{percent(sum(inside, (e) => e.requests * e.errors) / (sum(inside, (e) => e.requests) || 1))} inside</> : 'status 5xx'} />
      <Stat name="p99" value={latency(door.p99)} note={door.slowest ? <Link to={to('routes', door.slowest)}>{short(refOf(door.slowest))}</Link> : `p50 ${latency(door.p50)}`} />
      {services.length ? (
        <Stat name="Services" value={count(services.filter((n) => !failing(n.in)).length)} unit={`of ${count(services.length)}`} note={<Link to="/graph">without failures</Link>} />
      ) : (
        <Stat name="Endpoints" value={count(healthy)} unit={`of ${count(endpoints.length)}`} note={<Link to="/services">healthy</Link>} />
      )}
      {s?.mesh && <Stat name="Proxies" value={s.mesh.serving} unit={`of ${s.mesh.proxies.length}`} note={<Link to="/mesh">serve the newest</Link>} />}
      <Stat name="Revision" value={s?.revision.number ?? '–'} note={<Ago at={s?.revision.at} />} />
    </Stats>
  )
}

const sum = (list: GraphEdge[], of: (e: GraphEdge) => number): number => list.reduce((n, e) => n + of(e), 0)

const Share = ({ of }: { of: number }) => <span className={of >= 0.05 ? 'tone-bad' : of >= 0.01 ? 'tone-warn' : of ? '' : 'quiet'}>{percent(of)}</span>

function Matters({ list }: { list: Matter[] }) {
  if (!list.length)
    return (
      <p className="well">
        <Icon name="good" /> Nothing. Services that fail or have become slow, refused objects and requests, ending certificates, ejected endpoints, open breakers and proxies that are behind would be here.
      </p>
    )
  return (
    <ul className="matters">
      {list.slice(0, 30).map((m) => (
        <li key={m.key}>
          <span className={`tone-${m.tone}`}>
            <Icon name={m.tone} />
            <span className="hidden">{m.tone === 'bad' ? 'Serious:' : m.tone === 'warn' ? 'Warning:' : 'Note:'}</span>
          </span>
          <span className="what">{m.link ? <Link to={m.link}>{m.what}</Link> : m.what}</span>
          <span className="quiet">
            <Where place={m.place} /> {m.since && <Ago at={m.since} />}
          </span>
          <span className="why">
            {m.why} {m.remedy}
          </span>
        </li>
      ))}
    </ul>
  )
}

const serviceColumns: Column<GraphNode>[] = [
  {
    name: 'Service',
    by: labelOf,
    of: (n) => {
      const link = nodeLink(n)
      return (
        <span className="object">
          {link ? <Link to={link}>{labelOf(n)}</Link> : labelOf(n)}
          {n.namespace && n.namespace !== 'default' && <span className="quiet">{n.namespace}</span>}
        </span>
      )
    },
  },
  { name: 'Health', minor: true, by: (n) => -n.in.errors, of: (n) => <Badge tone={toneOf(n.in)}>{n.in.errors >= 0.05 ? 'failing' : n.in.errors >= 0.01 ? 'some failures' : n.in.count ? 'well' : 'silent'}</Badge> },
  { name: 'Requests/s', number: true, by: (n) => n.in.requests, of: (n) => rate(n.in.requests) },
  { name: 'Errors', number: true, by: (n) => n.in.errors, of: (n) => <Share of={n.in.errors} /> },
  { name: 'p50', number: true, minor: true, by: (n) => n.in.p50, of: (n) => latency(n.in.p50) },
  { name: 'p99', number: true, by: (n) => n.in.p99, of: (n) => latency(n.in.p99) },
]

function Services({ graph }: { graph: Answer<Graph> }) {
  return (
    <Shown of={graph} what="service graph">
      {(g) => <Table label="Services" columns={serviceColumns} rows={(g.nodes ?? []).filter(serves)} rowKey={(n) => n.id} first="-Requests/s" most={12} empty={<Empty title="No service was called in this time">Send a request to a listener: whoever answers it appears here within seconds.</Empty>} />}
    </Shown>
  )
}

const columns: Column<MetricRouteStats>[] = [
  {
    name: 'Route',
    by: (r) => r.route,
    of: (r) => (
      <span className="object">
        <Link to={to('routes', r.route)}>{short(refOf(r.route))}</Link>
        <span className="quiet">rule {r.rule}</span>
      </span>
    ),
  },
  { name: 'Trend', minor: true, of: (r) => <Trend of={r} /> },
  { name: 'Requests/s', number: true, by: (r) => r.requests, of: (r) => rate(r.requests) },
  { name: 'Errors', number: true, by: (r) => r.errors, of: (r) => <Share of={r.errors} /> },
  { name: 'p50', number: true, minor: true, by: (r) => r.p50, of: (r) => latency(r.p50) },
  { name: 'p99', number: true, by: (r) => r.p99, of: (r) => latency(r.p99) },
]

const Trend = ({ of }: { of: MetricRouteStats }) => <Spark values={useHistory(ofRule(of.route, of.rule)).requests} label="Requests per second lately" />

function Busiest() {
  const top = useTop()
  return (
    <Shown of={top} what="rates">
      {(t) => (
        <Table
          label="Busiest rules"
          columns={columns}
          rows={[...(t.routes ?? [])].sort((a, b) => b.requests - a.requests).slice(0, 10)}
          rowKey={(r) => `${r.route} ${r.rule}`}
          first="-Requests/s"
          empty={<Empty title="No requests yet">Send one to a listener: its route appears here within two seconds.</Empty>}
        />
      )}
    </Shown>
  )
}
