import { useMemo } from 'react'
import { useRoutes, useTop } from '../api/queries'
import type { MetricRouteStats, RouteRow } from '../api/schema.gen'
import { latency, percent, plural, rate } from '../lib/format'
import { ofRoute, useHistory } from '../lib/history'
import { refOf, routeOf, short } from '../lib/names'
import { Link, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Kind } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Search, Spark } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'

interface Row {
  name: string
  hosts: string[]
  matches: string[]
  backends: string[]
  listeners: string[]
  requests: number
  errors: number
  p99: number
}

/** rowsOf makes one row of each route: variants of it at several listeners are one. */
export function rowsOf(list: RouteRow[], stats: MetricRouteStats[]): Row[] {
  const byName = new Map<string, Row>()
  const add = (into: string[], values: string[]) => values.forEach((v) => into.includes(v) || into.push(v))
  for (const r of list) {
    const name = routeOf(r.route)
    let row = byName.get(name)
    if (!row) {
      row = { name, hosts: [], matches: [], backends: [], listeners: [], requests: 0, errors: 0, p99: 0 }
      byName.set(name, row)
    }
    add(row.hosts, r.hostnames)
    add(row.matches, [r.match])
    add(row.backends, r.backends)
    add(row.listeners, [r.listener])
  }
  for (const s of stats) {
    const row = byName.get(s.route)
    if (!row) continue
    row.requests += s.requests
    row.errors += s.requests * s.errors
    row.p99 = Math.max(row.p99, s.p99)
  }
  return [...byName.values()]
}

const Trend = ({ name }: { name: string }) => <Spark values={useHistory(ofRoute(name)).requests} label="Requests per second lately" />

const columns: Column<Row>[] = [
  {
    name: 'Route',
    by: (r) => r.name,
    of: (r) => (
      <>
        <Link to={to('routes', r.name)}>{short(refOf(r.name))}</Link>
        <span className="sub">
          <Kind>{refOf(r.name).kind}</Kind>
        </span>
      </>
    ),
  },
  {
    name: 'Matches',
    grow: true,
    by: (r) => r.matches.join(),
    of: (r) => (
      <>
        <code>{r.matches[0]}</code>
        <span className="sub">
          {r.matches.length > 1 && `and ${r.matches.length - 1} more, `}
          {r.hosts.length ? r.hosts.join(', ') : 'any host'}
        </span>
      </>
    ),
  },
  { name: 'Listeners', minor: true, of: (r) => <span className="quiet">{r.listeners.join(', ')}</span> },
  { name: 'Trend', minor: true, of: (r) => <Trend name={r.name} /> },
  { name: 'Requests/s', number: true, by: (r) => r.requests, of: (r) => rate(r.requests) },
  { name: 'Errors', number: true, by: (r) => r.errors / (r.requests || 1), of: (r) => <span className={r.errors > r.requests / 100 ? 'tone-bad' : 'quiet'}>{percent(r.requests ? r.errors / r.requests : 0)}</span> },
  { name: 'p99', number: true, by: (r) => r.p99, of: (r) => latency(r.p99) },
]

export function Routes() {
  const routes = useRoutes()
  const { data: top } = useTop()
  const [text, setText] = useParameter('q')
  const rows = useMemo(() => rowsOf(routes.data ?? [], top?.routes ?? []), [routes.data, top])
  const words = text.toLowerCase().split(/\s+/)
  const found = rows.filter((r) => words.every((w) => [r.name, ...r.hosts, ...r.matches, ...r.backends].join(' ').toLowerCase().includes(w)))
  return (
    <Page title="Routes" about="What comes in, by which route, and how it goes.">
      <div className="filters">
        <Search value={text} set={setText} label="Name, host, path or backend" />
        <span className="quiet" role="status">
          {plural(found.length, 'route')}
        </span>
      </div>
      <Panel title="All routes" flush>
        <Shown of={routes} what="routes">
          {() => (
            <Table
              label="Routes"
              columns={columns}
              rows={found}
              rowKey={(r) => r.name}
              first="Route"
              empty={rows.length ? <Empty title="No route matches">Search for less.</Empty> : <Empty title="There are no routes">An HTTPRoute whose parent is a Gateway makes one. The guide Getting started has the first.</Empty>}
            />
          )}
        </Shown>
      </Panel>
    </Page>
  )
}
