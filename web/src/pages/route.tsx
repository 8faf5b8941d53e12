import { useRoutes, useStatus, useTop } from '../api/queries'
import type { ObjectStatus, RouteRow } from '../api/schema.gen'
import { latency, percent, rate } from '../lib/format'
import { useSeries } from '../api/signals'
import { ofRoute } from '../lib/history'
import { verdictOf } from '../lib/judge'
import { clusterLabel, refOf, routeOf, short } from '../lib/names'
import { Link, to } from '../lib/router'
import { sharesOf, split } from '../lib/shares'
import { Page } from '../shell'
import { Badge, Kind } from '../ui/badge'
import { Latencies, Rates } from '../ui/chart'
import { Panel, Stat, Stats } from '../ui/panel'
import { Meter, ObjectLink, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { Window, useWindow } from '../ui/window'
import { Tap } from './tap'
import { RecentTraces } from './traces'

/** sourcesOf are the objects that each policy is attached to, and so comes from. */
function sourcesOf(statuses: ObjectStatus[]): Map<string, string[]> {
  return new Map(
    statuses.flatMap((s): [string, string[]][] => {
      const of = new Set(s.conditions.flatMap((c) => (c.of ? [refOf(c.of)] : [])).map((r) => `${r.kind} ${short(r)}`))
      return of.size ? [[s.object, [...of]]] : []
    }),
  )
}

interface Rule {
  key: string
  index: number
  name: string
  row: RouteRow
  matches: string[]
  at: string[]
}

export function rulesOf(list: RouteRow[], route: string): Rule[] {
  const rules = new Map<string, Rule>()
  for (const row of list) {
    if (routeOf(row.route) !== route) continue
    const key = `${row.rule} ${row.backends.join()}`
    const rule = rules.get(key) ?? { key, index: row.rule, name: row.ruleName ?? '', row, matches: [], at: [] }
    if (!rule.matches.includes(row.match)) rule.matches.push(row.match)
    const section = row.section.slice(row.section.lastIndexOf('/') + 1)
    if (!rule.at.includes(section)) rule.at.push(section)
    rules.set(key, rule)
  }
  return [...rules.values()].sort((a, b) => a.index - b.index)
}

export function RoutePage({ name }: { name: string }) {
  const routes = useRoutes()
  const { data: top } = useTop()
  const { data: status } = useStatus()
  const [window, setWindow] = useWindow()
  const past = useSeries(`route:${name}`, ofRoute(name), window)
  const ref = refOf(name)
  const rules = rulesOf(routes.data ?? [], name)
  const stats = (top?.routes ?? []).filter((r) => r.route === name)
  const requests = stats.reduce((n, r) => n + r.requests, 0)
  const errors = stats.reduce((n, r) => n + r.requests * r.errors, 0)
  const sources = sourcesOf(status?.statuses ?? [])
  const verdict = verdictOf(status?.statuses.find((s) => s.object === name))
  return (
    <Page
      title={short(ref)}
      crumbs={[['Routes', '/routes']]}
      label={
        <>
          {short(ref)} <Kind>{ref.kind}</Kind>
        </>
      }
      actions={
        <>
          <Window value={window} set={setWindow} />
          <Link className="button" to={to('configuration', ref.kind, ref.namespace || '-', ref.name)}>
            Its object
          </Link>
        </>
      }
      about={<Badge tone={verdict.tone} title={verdict.why?.message}>{verdict.word}</Badge>}
    >
      <div className="stack">
        <Stats label="Now">
          <Stat name="Requests" value={rate(requests)} unit="/s" note="at this process" />
          <Stat name="Errors" value={percent(requests ? errors / requests : 0)} />
          <Stat name="p50" value={latency(Math.max(0, ...stats.map((s) => s.p50)))} note="slowest rule" />
          <Stat name="p95" value={latency(Math.max(0, ...stats.map((s) => s.p95)))} note="slowest rule" />
          <Stat name="p99" value={latency(Math.max(0, ...stats.map((s) => s.p99)))} note="slowest rule" />
          <Stat name="Under way" value={stats.reduce((n, r) => n + r.open, 0)} />
        </Stats>
        <div className="columns">
          <Panel title="Requests" note="at all proxies that have the route">
            <Rates of={past} label={`Requests and errors per second of ${name}`} />
          </Panel>
          <Panel title="Latency">
            <Latencies of={past} label={`Latency of ${name}`} />
          </Panel>
          <Panel title="Rules" note="in the order of the route" flush className="span-12">
            <Shown of={routes} what="rules">
              {() =>
                rules.length ? (
                  <ol className="rules">
                    {rules.map((r) => (
                      <RuleOf key={r.key} rule={r} shares={sharesOf(r.row, routes.data ?? [])} sources={sources} requests={stats.find((s) => s.rule === String(r.index))?.requests} />
                    ))}
                  </ol>
                ) : (
                  <Empty title="No listener serves this route">Its object says why, in its conditions.</Empty>
                )
              }
            </Shown>
          </Panel>
          <Tap of={{ route: name }} />
          <RecentTraces of={{ route: name }} />
        </div>
      </div>
    </Page>
  )
}

interface RuleProps {
  rule: Rule
  requests?: number
  shares?: Map<string, number>
  sources: Map<string, string[]>
}

function RuleOf({ rule, requests, shares, sources }: RuleProps) {
  const { row } = rule
  return (
    <li>
      <div className="what">
        <b>{rule.name || `Rule ${rule.index}`}</b> <Where place={row.place} />
        {requests !== undefined && <span className="quiet"> {rate(requests)} /s</span>}
        <ul>
          {rule.matches.map((m) => (
            <li key={m}>
              <code>{m}</code>
            </li>
          ))}
        </ul>
        <span className="sub">
          {row.hostnames.length ? row.hostnames.join(', ') : 'any host'}, at {rule.at.join(', ')}
        </span>
      </div>
      <div>
        <h3>Leads to</h3>
        <ul className="splits">
          {row.backends.map((b) => (
            <Split key={b} of={b} shares={shares} />
          ))}
        </ul>
      </div>
      <div>
        <h3>Policies</h3>
        {row.policies?.length ? (
          <ul>
            {row.policies.map((p) => (
              <li key={p}>
                <ObjectLink of={p} /> <span className="quiet">{sources.has(p) && `of ${sources.get(p)!.slice(0, 3).join(', ')}`}</span>
              </li>
            ))}
          </ul>
        ) : (
          <span className="quiet">none</span>
        )}
      </div>
    </li>
  )
}

/** Split is one backend and its share: "Service/default/reviews:80~c3b8088f 90 %". */
function Split({ of, shares }: { of: string; shares?: Map<string, number> }) {
  const { name, wanted } = split(of)
  const got = shares?.get(name)
  const known = /^(Service|Backend)\//.test(name) && !name.includes('(')
  return (
    <li>
      {known ? <Link to={to('services', name)}>{clusterLabel(name)}</Link> : <span className={name.includes('(') ? 'tone-bad' : ''}>{name}</span>}
      {wanted !== undefined && (
        <>
          {' '}
          <Meter share={wanted} /> {+(wanted * 100).toFixed(2)} %
          {got !== undefined && (
            <span className="sub">
              <Meter share={got} tone="good" /> <span title="since the console was opened">{percent(got)} actual</span>
            </span>
          )}
        </>
      )}
    </li>
  )
}
