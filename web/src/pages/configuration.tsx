import { useMemo } from 'react'
import { useObjects, useStatus, useWhoami } from '../api/queries'
import type { ConfigObject, Status } from '../api/schema.gen'
import { plural } from '../lib/format'
import { type Verdict, verdictOf } from '../lib/judge'
import { keyOf } from '../lib/names'
import { Link, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { may } from '../ui/action'
import { Badge, Kind } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Search, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Sinks } from './sinks'

interface Row {
  o: ConfigObject
  v: Verdict
  problems: number
  /** hides: the state store has an object of this name too, which does not serve. */
  hides: boolean
}

const rank = { bad: 0, warn: 1, info: 2, good: 3, muted: 4 }

const columns: Column<Row>[] = [
  {
    name: 'Object',
    by: (r) => `${r.o.name} ${r.o.namespace}`,
    of: (r) => (
      <>
        <Link to={to('configuration', r.o.kind, r.o.namespace || '-', r.o.name)}>{r.o.name}</Link>
        {r.o.namespace && r.o.namespace !== 'default' && <span className="sub">{r.o.namespace}</span>}
      </>
    ),
  },
  { name: 'Kind', by: (r) => r.o.kind, of: (r) => <Kind>{r.o.kind}</Kind> },
  {
    name: 'Status',
    by: (r) => rank[r.v.tone],
    of: (r) => (
      <>
        <Badge tone={r.v.tone} title={r.v.why?.message}>
          {r.v.word}
        </Badge>
        {r.hides && <span className="sub tone-warn">hides a managed one</span>}
        {r.problems > 0 && <span className="sub tone-warn">{plural(r.problems, 'problem')}</span>}
      </>
    ),
  },
  { name: 'Proxies', minor: true, by: (r) => r.v.served ?? '', of: (r) => <span className="quiet">{r.v.served?.replace(/ serve revision.*/, '') ?? ''}</span> },
  { name: 'From', minor: true, by: (r) => r.o.source ?? '', of: (r) => <span className="quiet">{r.o.source}</span> },
  { name: 'Source', minor: true, by: (r) => `${r.o.place?.file} ${String(r.o.place?.line ?? 0).padStart(7, '0')}`, of: (r) => <Where place={r.o.place} /> },
]

const tabs = [
  ['', 'Objects'],
  ['/effective', 'Effective configuration'],
  ['/checks', 'Check results'],
  ['/revisions', 'Revisions'],
] as const

export function Tabs() {
  return (
    <nav className="tabs" aria-label="Parts of the configuration">
      {tabs.map(([path, name]) => (
        <Link key={path} to={`/configuration${path}`} aria-current={location.pathname.endsWith(`/configuration${path}`) ? 'page' : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  )
}

export function rowsOf(objects: ConfigObject[], s: Status | undefined): Row[] {
  const statuses = new Map(s?.statuses.map((x) => [x.object, x]))
  const problems = new Map<string, number>()
  for (const p of s?.problems ?? []) if (p.object && p.severity !== 'note') problems.set(p.object, (problems.get(p.object) ?? 0) + 1)
  const hides = new Set(s?.problems.filter((p) => p.code === 'HiddenByFile').map((p) => p.object))
  const refused = new Set(s?.refused.map((r) => r.object))
  return objects.map((o) => {
    const key = keyOf(o)
    const v: Verdict = refused.has(key) ? { tone: 'bad', word: 'Refused' } : verdictOf(statuses.get(key))
    return { o, v, problems: problems.get(key) ?? 0, hides: hides.has(key) }
  })
}

export function Configuration() {
  const objects = useObjects()
  const { data: status } = useStatus()
  const { data: me } = useWhoami()
  const [text, setText] = useParameter('q')
  const [kind, setKind] = useParameter('kind')
  const rows = useMemo(() => rowsOf(objects.data ?? [], status), [objects.data, status])
  const kinds = [...Map.groupBy(rows, (r) => r.o.kind)].sort(([a], [b]) => a.localeCompare(b))
  const needle = text.toLowerCase()
  const found = rows.filter((r) => (!kind || r.o.kind === kind) && `${keyOf(r.o)} ${r.o.place?.file ?? ''}`.toLowerCase().includes(needle))
  return (
    <Page title="Configuration" actions={status && !status.member && <Link className="button" to="/configuration/new">{may(me, 'operator') ? 'New object' : 'Try a new object'}</Link>} about={status && `Revision ${status.revision.number}, ${plural(rows.length, 'object')} from ${status.revision.sources?.length ? plural(status.revision.sources.length, 'source') : 'nowhere'}.`}>
      <Tabs />
      <div className="filters">
        <Search value={text} set={setText} label="Name, namespace or file" />
        <div className="chips" role="group" aria-label="Kinds">
          {kinds.map(([k, list]) => (
            <button key={k} type="button" aria-pressed={kind === k} onClick={() => setKind(kind === k ? '' : k)}>
              {k}
              <span className="n">{list.length}</span>
            </button>
          ))}
        </div>
      </div>
      <Panel title="Objects" note={plural(found.length, 'object')} flush>
        <Shown of={objects} what="objects">
          {() => (
            <Table
              label="Objects"
              columns={columns}
              rows={found}
              rowKey={(r) => keyOf(r.o)}
              first="Kind"
              empty={rows.length ? <Empty title="No object matches">Search for less, or choose another kind.</Empty> : <Empty title="This process knows no objects">A sidecar gets its configuration compiled. The control plane has the objects; the effective configuration is here.</Empty>}
            />
          )}
        </Shown>
      </Panel>
      <Sinks />
    </Page>
  )
}
