import { every, useMaybe, useStatus } from '../api/queries'
import type { Trouble, Troubles } from '../api/schema.gen'
import { seenBy, whatOf } from '../lib/ailing'
import { count } from '../lib/format'
import { clusterOf, type Ref } from '../lib/names'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Ago } from '../ui/small'
import { type Column, Table } from '../ui/table'

const toneOf = (t: Trouble): Tone => (t.over ? 'muted' : t.kind === 'breaker' && t.detail !== 'open' ? 'warn' : 'bad')

const columns: Column<Trouble>[] = [
  { name: 'What', by: (t) => t.kind, of: (t) => <><Badge tone={toneOf(t)}>{whatOf(t)}</Badge>{t.kind === 'breaker' && t.times ? <span className="sub">opened {count(t.times)} ×</span> : null}</> },
  { name: 'Endpoint', by: (t) => t.endpoint ?? '', of: (t) => (t.endpoint ? <code>{t.endpoint}</code> : <span className="quiet">all of it</span>) },
  { name: 'Seen by', minor: true, by: seenBy, of: (t) => seenBy(t) || 'this process' },
  { name: 'Since', number: true, by: (t) => t.over ?? t.since, of: (t) => <>{t.over && 'over '}<Ago at={t.over ?? t.since} /></> },
]

/** Ailing is what is not well on the way to a service or a Backend, wherever in the mesh it is seen. */
export function Ailing({ of }: { of: Ref }) {
  const { data: status } = useStatus()
  const service = of.kind === 'Service'
  const { data: asked } = useMaybe<Troubles>('/v1/troubles', { service: `${of.namespace}/${of.name}` }, every.calm, service)
  const here = (t: Trouble) => {
    const c = clusterOf(t.cluster)
    return c.kind === of.kind && c.namespace === of.namespace && c.name === of.name
  }
  const list = service ? (asked?.troubles ?? []) : (status?.troubles ?? []).filter(here)
  if (!list.length) return null
  return (
    <Panel title="Not well" note={status?.mesh ? 'as proxies anywhere in the mesh see it' : 'as this process sees it'} flush className="span-12">
      <Table label="Not well" columns={columns} rows={list} rowKey={(t) => `${t.kind} ${t.cluster} ${t.endpoint}`} most={20} />
    </Panel>
  )
}
