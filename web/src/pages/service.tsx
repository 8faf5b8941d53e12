import { every, useClusters, useRoutes, useStatus, useTop } from '../api/queries'
import type { Cluster, Endpoint, SignalsGraph as Graph } from '../api/schema.gen'
import { useGraph, useSeries } from '../api/signals'
import { count, latency, percent, plural, rate } from '../lib/format'
import { ofCluster } from '../lib/history'
import { clusterLabel, clusterOf, type Ref, routeOf } from '../lib/names'
import { Link, to } from '../lib/router'
import { Page } from '../shell'
import { Badge, Kind, type Tone } from '../ui/badge'
import { Latencies, Rates } from '../ui/chart'
import { Facts, Panel, Stat, Stats } from '../ui/panel'
import { Meter, ObjectLink } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Window, useWindow } from '../ui/window'
import { Ailing } from './ailing'
import { Calls } from './calls'
import { healthOf } from './services'
import { Tap } from './tap'
import { RecentTraces } from './traces'
import { Workloads, workloadsOf } from './workloads'

const tones: Record<string, Tone> = { healthy: 'good', unhealthy: 'bad', ejected: 'bad', draining: 'info' }

export function ServicePage({ name }: { name: string }) {
  const clusters = useClusters(every.live)
  const graph = useGraph('5m', 10_000)
  const [window, setWindow] = useWindow()
  // A link from elsewhere names the service alone; any of its ports does then.
  const c = clusters.data?.find((x) => x.name === name) ?? clusters.data?.find((x) => same(x.name, name))
  const label = clusterLabel(c?.name ?? name)
  const n = clusterOf(c?.name ?? name)
  return (
    <Page
      title={label}
      crumbs={[['Services', '/services']]}
      label={
        <>
          {label} <Kind>{n.kind}</Kind>
        </>
      }
      actions={
        <>
          <Window value={window} set={setWindow} />
          <Link className="button" to={`/graph?node=${encodeURIComponent(nodeOf(n))}`}>
            In the graph
          </Link>
          <Link className="button" to={to('configuration', n.kind, n.namespace || '-', n.name)}>
            Its object
          </Link>
        </>
      }
    >
      <Shown of={clusters} what="services">
        {() => <Body c={c} n={n} graph={graph.data} window={window} />}
      </Shown>
    </Page>
  )
}

/** nodeOf is what the graph calls it. */
const nodeOf = (n: Ref): string => (n.kind === 'Service' ? `${n.namespace}/${n.name}` : `${n.kind.toLowerCase()}:${n.namespace}/${n.name}`)

function same(a: string, b: string): boolean {
  const x = clusterOf(a)
  const y = clusterOf(b)
  return x.kind === y.kind && x.namespace === y.namespace && x.name === y.name && (!y.port || x.port === y.port)
}

interface BodyProps {
  /** c is how this process sends to it, if it does. */
  c?: Cluster
  n: Ref
  graph?: Graph
  window: string
}

function Body({ c, n, graph, window }: BodyProps) {
  const { data: top } = useTop()
  const { data: status } = useStatus()
  const id = nodeOf(n)
  const past = useSeries(`node:${id}`, c ? ofCluster(c.name) : '', window)
  const node = graph?.nodes?.find((x) => x.id === id)
  const proxies = n.kind === 'Service' ? workloadsOf(status?.mesh?.proxies ?? [], id) : []
  if (!c && !node && !proxies.length && !past.at.length)
    return (
      <Panel title="Not here">
        <Empty title="Nothing is known of it">No route of this process leads there, and no proxy has told of it. Its object says whether it is served at all.</Empty>
      </Panel>
    )
  const s = top?.clusters?.find((x) => x.cluster === c?.name)
  const t = node?.in ?? s
  const serving = proxies.filter((p) => p.state !== 'Gone').length
  const [tone, word] = c ? healthOf(c) : ([serving ? 'good' : 'bad', plural(serving, 'workload')] as [Tone, string])
  return (
    <div className="stack">
      <Stats label="Now">
        <Stat name="Health" value={<Badge tone={tone}>{word}</Badge>} />
        <Stat name="Requests" value={rate(t?.requests ?? 0)} unit="/s" note={node ? 'from everybody' : 'from this process'} />
        <Stat name="Errors" value={<span className={(t?.errors ?? 0) >= 0.01 ? 'tone-bad' : ''}>{percent(t?.errors ?? 0)}</span>} />
        <Stat name="p50" value={latency(t?.p50 ?? 0)} />
        <Stat name="p99" value={latency(t?.p99 ?? 0)} note={`p95 ${latency(t?.p95 ?? 0)}`} />
        <Stat name="Under way" value={c?.requests ?? node?.open ?? 0} note={c?.retries ? `${c.retries} of them retries` : undefined} />
      </Stats>
      <div className="columns">
        <Ailing of={n} />
        <Panel title="Requests">
          <Rates of={past} label={`Requests and errors per second of ${id}`} />
        </Panel>
        <Panel title="Latency">
          <Latencies of={past} label={`Latency of ${id}`} />
        </Panel>
        {graph && node && <Calls graph={graph} id={id} direction="in" />}
        {graph && node && n.kind === 'Service' && <Calls graph={graph} id={id} direction="out" />}
        {c && (
          <Panel title="Endpoints" note="as this process sees them" flush className="span-12">
            <Endpoints c={c} />
          </Panel>
        )}
        {proxies.length > 0 && <Workloads list={proxies} service={id} />}
        {c && (
          <Panel title="Limits and connections">
            <Facts
              of={[
                ['Balancing', c.algorithm],
                ['Circuit breaker', <Badge tone={c.breaker === 'closed' ? 'good' : c.breaker === 'open' ? 'bad' : 'warn'}>{c.breaker}</Badge>],
                ['Retries left', c.retryBudget < 0 ? 'no budget' : count(c.retryBudget)],
                ['Connections', `${c.connections}, of which ${c.idle} idle`],
                ['Waiting for one', count(c.pending)],
                ['Protocol', c.protocol || 'HTTP'],
              ]}
            />
          </Panel>
        )}
        <Panel title="Policies and routes">
          <Attached service={`${n.kind}/${n.namespace}/${n.name}`} cluster={c?.name} />
        </Panel>
        {n.kind === 'Service' && (
          <>
            <Tap of={{ to: id }} />
            <RecentTraces of={{ service: id }} />
          </>
        )}
      </div>
    </div>
  )
}

function Endpoints({ c }: { c: Cluster }) {
  const tries = c.endpoints.reduce((n, e) => n + e.tries, 0) || 1
  const columns: Column<Endpoint>[] = [
    {
      name: 'Address',
      by: (e) => e.address,
      of: (e) => (
        <>
          <code>{e.address}</code>
          {(e.origin || e.zone) && <span className="sub">{[e.zone, e.origin].filter(Boolean).join(', ')}</span>}
        </>
      ),
    },
    {
      name: 'State',
      by: (e) => e.state,
      of: (e) => (
        <>
          <Badge tone={tones[e.state] ?? 'muted'}>{e.state}</Badge>
          {e.ejectedFor ? <span className="sub">{latency(e.ejectedFor)} more{e.cause ? `, by ${e.cause}` : ''}</span> : null}
          {e.slowStart && <span className="sub">starting slowly</span>}
        </>
      ),
    },
    {
      name: 'Share',
      minor: true,
      by: (e) => e.tries,
      of: (e) => (
        <>
          <Meter share={e.tries / tries} /> {percent(e.tries / tries)}
        </>
      ),
    },
    { name: 'Weight', number: true, minor: true, by: (e) => e.weight, of: (e) => e.weight },
    { name: 'Active', number: true, by: (e) => e.active, of: (e) => e.active },
    { name: 'Latency', number: true, by: (e) => e.latency, of: (e) => latency(e.latency) },
    { name: 'Tries', number: true, minor: true, by: (e) => e.tries, of: (e) => count(e.tries) },
    { name: 'Failures', number: true, by: (e) => e.failures, of: (e) => <span className={e.failures ? 'tone-bad' : 'quiet'}>{count(e.failures)}</span> },
  ]
  return <Table label="Endpoints" columns={columns} rows={c.endpoints} rowKey={(e) => e.address} first="Address" empty={<Empty title="No endpoints are known">Nothing has registered, or discovery has found nothing yet. What is sent there is answered 503.</Empty>} />
}

function Attached({ service, cluster }: { service: string; cluster?: string }) {
  const { data: status } = useStatus()
  const { data: routes } = useRoutes()
  const policies = (status?.statuses ?? []).filter((s) => s.conditions.some((c) => c.of === service)).map((s) => s.object)
  const leading = [...new Set((routes ?? []).filter((r) => cluster !== undefined && r.backends.some((b) => b === cluster || b.startsWith(`${cluster} `))).map((r) => routeOf(r.route)))]
  return (
    <Facts
      of={[
        ['Attached here', policies.length ? <ul>{policies.map((p) => <li key={p}><ObjectLink of={p} /></li>)}</ul> : <span className="quiet">nothing; policies of routes and Gateways may apply</span>],
        ['Routes', leading.length ? <ul>{leading.map((r) => <li key={r}><Link to={to('routes', r)}>{r.replace('/default/', ' ')}</Link></li>)}</ul> : <span className="quiet">none of this process</span>],
      ]}
    />
  )
}
