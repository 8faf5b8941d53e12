import { useAudit, useClusters, useStatus, useTop, useWhoami } from '../api/queries'
import type { MetricRouteStats } from '../api/schema.gen'
import type { Matter } from '../lib/attention'
import { count, latency, percent, plural, rate } from '../lib/format'
import { all, busy, ofRule, useHistory } from '../lib/history'
import { Link, to } from '../lib/router'
import { Page, useMatters } from '../shell'
import { Badge } from '../ui/badge'
import { Latencies, Rates } from '../ui/chart'
import { Icon } from '../ui/icon'
import { Panel, Stat, Stats } from '../ui/panel'
import { Ago, ObjectLink, Spark, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { refOf, serviceOf, short } from '../lib/names'

export function Overview() {
  const matters = useMatters()
  const status = useStatus()
  const past = useHistory(all)
  return (
    <Page title="Overview" about={<Shown of={status} what="status">{(s) => <Verdict ready={s.ready} state={s.state} matters={matters} />}</Shown>}>
      <div className="stack">
        <Numbers />
        <div className="columns">
          <Panel title="Needs attention" note={matters.length ? count(matters.length) : ''} flush className="span-12">
            {status.data && <Matters list={matters} />}
          </Panel>
          <Panel title="Requests" note="all routes">
            <Rates of={past} label="Requests and errors per second of all routes, over the last minutes" />
          </Panel>
          <Panel title="Latency" note="the slowest of the busy rules">
            <Latencies of={past} label="Latency of the slowest of the busy rules, over the last minutes" />
          </Panel>
          <Panel title="Busiest rules" flush className="span-8" actions={<Link to="/routes">All routes</Link>}>
            <Busiest />
          </Panel>
          <Panel title="What changed lately" flush className="span-4">
            <Changes />
          </Panel>
        </div>
      </div>
    </Page>
  )
}

function Verdict({ ready, state, matters }: { ready: boolean; state: string; matters: Matter[] }) {
  const serious = matters.filter((m) => m.tone === 'bad').length
  if (!ready) return <Badge tone="bad">The process is {state}</Badge>
  if (serious) return <Badge tone="bad">Serving, with {plural(serious, 'serious matter')}</Badge>
  if (matters.some((m) => m.tone === 'warn')) return <Badge tone="warn">Serving, with something to look at</Badge>
  return <Badge tone="good">All is well</Badge>
}

function Numbers() {
  const { data: s } = useStatus()
  const { data: top } = useTop()
  const { data: clusters } = useClusters()
  const routes = top?.routes ?? []
  const requests = routes.reduce((n, r) => n + r.requests, 0)
  const failed = routes.reduce((n, r) => n + r.requests * r.errors, 0)
  const slowest = routes.filter(busy(routes)).reduce<MetricRouteStats | undefined>((a, r) => (!a || r.p99 > a.p99 ? r : a), undefined)
  const endpoints = clusters?.flatMap((c) => c.endpoints) ?? []
  const healthy = endpoints.filter((e) => e.state === 'healthy').length
  return (
    <Stats label="Now">
      <Stat name="Requests" value={rate(requests)} unit="/s" note={plural(s?.listeners.reduce((n, l) => n + l.connections, 0) ?? 0, 'connection')} />
      <Stat name="Errors" value={<span className={failed / (requests || 1) > 0.01 ? 'tone-bad' : ''}>{percent(requests ? failed / requests : 0)}</span>} note={failed ? `${rate(failed)} /s` : 'status 5xx'} />
      <Stat name="Slowest p99" value={latency(slowest?.p99 ?? 0)} note={slowest && <Link to={to('routes', slowest.route)}>{short(refOf(slowest.route))}</Link>} />
      <Stat name="Endpoints" value={`${count(healthy)}`} unit={`of ${count(endpoints.length)}`} note={<Link to="/services">healthy</Link>} />
      {s?.mesh && <Stat name="Proxies" value={s.mesh.serving} unit={`of ${s.mesh.proxies.length}`} note={<Link to="/mesh">serve the newest</Link>} />}
      <Stat name="Revision" value={s?.revision.number ?? '–'} note={<Ago at={s?.revision.at} />} />
    </Stats>
  )
}

function Matters({ list }: { list: Matter[] }) {
  if (!list.length)
    return (
      <p className="well">
        <Icon name="good" /> Nothing. Refused objects, ending certificates, ejected endpoints, open breakers and proxies that are behind would be here.
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
  { name: 'Errors', number: true, by: (r) => r.errors, of: (r) => <span className={r.errors > 0.01 ? 'tone-bad' : r.errors ? '' : 'quiet'}>{percent(r.errors)}</span> },
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

function Changes() {
  const me = useWhoami()
  const audit = useAudit()
  const { data: s } = useStatus()
  return (
    <ul className="matters">
      {s && (
        <li>
          <Icon name="configuration" />
          <span className="what">Revision {s.revision.number}</span>
          <Ago at={s.revision.at} />
          <span className="why">{plural(Object.values(s.objects).reduce((a, b) => a + b, 0), 'object')}, put in service in {latency(s.revision.took ?? 0)}</span>
        </li>
      )}
      {audit.data?.slice(0, 5).map((c) => (
        <li key={c.id}>
          <Icon name="right" />
          <span className="what">
            <ObjectOrName of={c.object} />
          </span>
          <Ago at={c.at} />
          <span className="why">
            {c.action}, by {c.actor}
          </span>
        </li>
      ))}
      {audit.error && (
        <li>
          <Icon name="info" />
          <span className="what quiet">No audit log</span>
          <span />
          <span className="why">{audit.error.status === 403 ? `It is for admins, and you are ${me.data?.role ?? 'none'}.` : audit.error.detail}</span>
        </li>
      )}
    </ul>
  )
}

const ObjectOrName = ({ of }: { of: string }) => (/^[A-Z]\w+\/[^/]+\/[^/:]+$/.test(of) ? <ObjectLink of={of} /> : <>{serviceOf(of.replace(/^Identity\//, ''))}</>)
