import { useMemo } from 'react'
import { every, useClusters, useTop } from '../api/queries'
import type { Cluster, MetricClusterStats } from '../api/schema.gen'
import { latency, percent, plural, rate } from '../lib/format'
import { ofCluster, useHistory } from '../lib/history'
import { clusterLabel, clusterOf } from '../lib/names'
import { Link, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Badge, Kind, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Search, Spark } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'

interface Row {
  c: Cluster
  s?: MetricClusterStats
}

/** healthOf is how the endpoints of a cluster stand. */
export function healthOf(c: Cluster): [Tone, string] {
  const n = c.endpoints.length
  const healthy = c.endpoints.filter((e) => e.state === 'healthy').length
  if (c.breaker === 'open') return ['bad', 'breaker open']
  if (!n) return ['warn', 'no endpoints']
  if (healthy === n) return ['good', plural(n, 'endpoint')]
  return [healthy ? 'warn' : 'bad', `${healthy} of ${n} healthy`]
}

const Trend = ({ name }: { name: string }) => <Spark values={useHistory(ofCluster(name)).requests} label="Requests per second lately" />

const columns: Column<Row>[] = [
  {
    name: 'Service',
    by: (r) => clusterLabel(r.c.name),
    of: (r) => (
      <>
        <Link to={to('services', r.c.name)}>{clusterLabel(r.c.name)}</Link>
        <span className="sub">
          <Kind>{clusterOf(r.c.name).kind}</Kind>
        </span>
      </>
    ),
  },
  {
    name: 'Health',
    by: (r) => healthOf(r.c)[0],
    of: (r) => {
      const [tone, word] = healthOf(r.c)
      return <Badge tone={tone}>{word}</Badge>
    },
  },
  { name: 'Balancing', minor: true, by: (r) => r.c.algorithm, of: (r) => <span className="quiet">{r.c.algorithm}</span> },
  { name: 'Under way', number: true, minor: true, by: (r) => r.c.requests, of: (r) => r.c.requests },
  { name: 'Connections', number: true, minor: true, by: (r) => r.c.connections, of: (r) => r.c.connections },
  { name: 'Trend', minor: true, of: (r) => <Trend name={r.c.name} /> },
  { name: 'Tries/s', number: true, by: (r) => r.s?.requests ?? 0, of: (r) => rate(r.s?.requests ?? 0) },
  { name: 'Errors', number: true, by: (r) => r.s?.errors ?? 0, of: (r) => <span className={(r.s?.errors ?? 0) > 0.01 ? 'tone-bad' : 'quiet'}>{percent(r.s?.errors ?? 0)}</span> },
  { name: 'p99', number: true, by: (r) => r.s?.p99 ?? 0, of: (r) => latency(r.s?.p99 ?? 0) },
]

export function Services() {
  const clusters = useClusters(every.live)
  const { data: top } = useTop()
  const [text, setText] = useParameter('q')
  const rows = useMemo<Row[]>(() => {
    const stats = new Map((top?.clusters ?? []).map((s) => [s.cluster, s]))
    return (clusters.data ?? []).map((c) => ({ c, s: stats.get(c.name) }))
  }, [clusters.data, top])
  const needle = text.toLowerCase()
  const found = rows.filter((r) => r.c.name.toLowerCase().includes(needle) || r.c.endpoints.some((e) => e.address.includes(needle)))
  return (
    <Page title="Services" about="Where requests are sent to, as this process sees it: Services and Backends with their endpoints.">
      <div className="filters">
        <Search value={text} set={setText} label="Name or address" />
        <span className="quiet" role="status">
          {plural(found.length, 'service')}
        </span>
      </div>
      <Panel title="All services" flush>
        <Shown of={clusters} what="services">
          {() => (
            <Table
              label="Services"
              columns={columns}
              rows={found}
              rowKey={(r) => r.c.name}
              first="Service"
              empty={rows.length ? <Empty title="No service matches">Search for less.</Empty> : <Empty title="There are no services">A route that names a Service or a Backend brings it here.</Empty>}
            />
          )}
        </Shown>
      </Panel>
    </Page>
  )
}
