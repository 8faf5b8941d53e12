import { useClusters, useRoutes, useStatus, useTop } from '../api/queries'
import type { Cluster, Endpoint } from '../api/schema.gen'
import { count, latency, percent, rate } from '../lib/format'
import { ofCluster, useHistory } from '../lib/history'
import { clusterLabel, clusterOf, routeOf } from '../lib/names'
import { Link, to } from '../lib/router'
import { Page } from '../shell'
import { Badge, Kind, type Tone } from '../ui/badge'
import { Latencies, Rates } from '../ui/chart'
import { Facts, Panel, Stat, Stats } from '../ui/panel'
import { Meter, ObjectLink } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { healthOf } from './services'
import { Tap } from './tap'
import { RecentTraces } from './traces'

const tones: Record<string, Tone> = { healthy: 'good', unhealthy: 'bad', ejected: 'bad', draining: 'info' }

export function ServicePage({ name }: { name: string }) {
  const clusters = useClusters()
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
        <Link className="button" to={to('configuration', n.kind, n.namespace || '-', n.name)}>
          Its object
        </Link>
      }
    >
      <Shown of={clusters} what="services">
        {() =>
          c ? (
            <Body c={c} />
          ) : (
            <Panel title="Not here">
              <Empty title="This process sends nothing to it">No route of its own leads there. The proxies of the mesh that do know its endpoints: ask one of them with gridway get clusters.</Empty>
            </Panel>
          )
        }
      </Shown>
    </Page>
  )
}

function same(a: string, b: string): boolean {
  const x = clusterOf(a)
  const y = clusterOf(b)
  return x.kind === y.kind && x.namespace === y.namespace && x.name === y.name && (!y.port || x.port === y.port)
}

function Body({ c }: { c: Cluster }) {
  const { data: top } = useTop()
  const past = useHistory(ofCluster(c.name))
  const s = top?.clusters?.find((x) => x.cluster === c.name)
  const [tone, word] = healthOf(c)
  const n = clusterOf(c.name)
  return (
    <div className="stack">
      <Stats label="Now">
        <Stat name="Health" value={<Badge tone={tone}>{word}</Badge>} />
        <Stat name="Tries" value={rate(s?.requests ?? 0)} unit="/s" />
        <Stat name="Errors" value={percent(s?.errors ?? 0)} />
        <Stat name="p99" value={latency(s?.p99 ?? 0)} />
        <Stat name="Under way" value={c.requests} note={c.retries ? `${c.retries} of them retries` : undefined} />
      </Stats>
      <div className="columns">
        <Panel title="Tries">
          <Rates of={past} label={`Tries and errors per second of ${c.name}`} />
        </Panel>
        <Panel title="Latency">
          <Latencies of={past} label={`Latency of ${c.name}`} />
        </Panel>
        <Panel title="Endpoints" flush className="span-12">
          <Endpoints c={c} />
        </Panel>
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
        <Panel title="Policies and routes">
          <Attached service={`${n.kind}/${n.namespace}/${n.name}`} cluster={c.name} />
        </Panel>
        {n.kind === 'Service' && (
          <>
            <Tap of={{ to: `${n.namespace}/${n.name}` }} />
            <RecentTraces of={{ service: `${n.namespace}/${n.name}` }} />
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

function Attached({ service, cluster }: { service: string; cluster: string }) {
  const { data: status } = useStatus()
  const { data: routes } = useRoutes()
  const policies = (status?.statuses ?? []).filter((s) => s.conditions.some((c) => c.of === service)).map((s) => s.object)
  const leading = [...new Set((routes ?? []).filter((r) => r.backends.some((b) => b === cluster || b.startsWith(`${cluster} `))).map((r) => routeOf(r.route)))]
  return (
    <Facts
      of={[
        ['Attached here', policies.length ? <ul>{policies.map((p) => <li key={p}><ObjectLink of={p} /></li>)}</ul> : <span className="quiet">nothing; policies of routes and Gateways may apply</span>],
        ['Routes', leading.length ? <ul>{leading.map((r) => <li key={r}><Link to={to('routes', r)}>{r.replace('/default/', ' ')}</Link></li>)}</ul> : <span className="quiet">none of this process</span>],
      ]}
    />
  )
}
