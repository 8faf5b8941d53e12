import { useMemo } from 'react'
import { useStatus } from '../api/queries'
import type { Problem, Status } from '../api/schema.gen'
import { plural } from '../lib/format'
import { useParameter } from '../lib/router'
import { Page } from '../shell'
import { Badge } from '../ui/badge'
import { Panel } from '../ui/panel'
import { ObjectLink, Search, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Tabs } from './configuration'

const rank: Record<string, number> = { error: 0, warning: 1, note: 2 }

const columns: Column<Problem>[] = [
  { name: 'Severity', by: (p) => rank[p.severity] ?? 3, of: (p) => <Badge tone={p.severity === 'error' ? 'bad' : p.severity === 'warning' ? 'warn' : 'info'}>{p.severity}</Badge> },
  { name: 'Object', by: (p) => p.object ?? '', of: (p) => (p.object ? <ObjectLink of={p.object} /> : <span className="quiet">none</span>) },
  { name: 'Line', by: (p) => `${p.place?.file} ${String(p.place?.line ?? 0).padStart(7, '0')}`, of: (p) => <Where place={p.place} /> },
  {
    name: 'What', grow: true,
    of: (p) => (
      <>
        {p.field && <code>{p.field}</code>} {p.message}
        <span className="sub">
          {p.remedy} ({p.code})
        </span>
      </>
    ),
  },
]

const refusedOf = (s: Status): Problem[] => s.refused.filter((r) => !s.problems.some((p) => p.object === r.object && p.severity === 'error')).flatMap((r) => r.why.map((message) => ({ severity: 'error', code: 'Refused', object: r.object, place: r.place, message })))

/** Checks is what "gridway check" would say of what is in service. */
export function Checks() {
  const status = useStatus()
  const [text, setText] = useParameter('q')
  const [severity, setSeverity] = useParameter('severity')
  const all = useMemo(() => (status.data ? [...refusedOf(status.data), ...status.data.problems] : []), [status.data])
  const needle = text.toLowerCase()
  const found = all.filter((p) => (!severity || p.severity === severity) && `${p.object} ${p.place?.file} ${p.code} ${p.field} ${p.message}`.toLowerCase().includes(needle))
  return (
    <Page title="Check results" about="What is wrong or suspicious in the configuration in service, as gridway check finds it.">
      <Tabs />
      <div className="filters">
        <Search value={text} set={setText} label="Object, file, code or words" />
        <div className="chips" role="group" aria-label="Severities">
          {['error', 'warning', 'note'].map((s) => (
            <button key={s} type="button" aria-pressed={severity === s} onClick={() => setSeverity(severity === s ? '' : s)}>
              {s}
              <span className="n">{all.filter((p) => p.severity === s).length}</span>
            </button>
          ))}
        </div>
      </div>
      <Panel title="Results" note={plural(found.length, 'result')} flush>
        <Shown of={status} what="results">
          {() => (
            <Table
              label="Check results"
              columns={columns}
              rows={found}
              rowKey={(p) => `${p.code} ${p.object} ${p.place?.file} ${p.place?.line} ${p.place?.column} ${p.message}`}
              first="Severity"
              empty={all.length ? <Empty title="No result matches">Search for less, or choose another severity.</Empty> : <Empty title="Nothing to be said">No object has an error, a warning or a note.</Empty>}
            />
          )}
        </Shown>
      </Panel>
    </Page>
  )
}
