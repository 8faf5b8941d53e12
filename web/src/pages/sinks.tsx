import { useStatus } from '../api/queries'
import type { SinkSignal, SinkStatus } from '../api/schema.gen'
import { count } from '../lib/format'
import { lostOf } from '../lib/sinks'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Ago, ObjectLink } from '../ui/small'
import { type Column, Table } from '../ui/table'

interface Row {
  x: SinkStatus
  n?: SinkSignal
}

const tones: Record<string, Tone> = { up: 'good', down: 'bad', idle: 'muted' }

const columns: Column<Row>[] = [
  { name: 'Sink', by: (r) => r.x.name, of: ({ x }) => <><ObjectLink of={`TelemetrySink/${x.name}`} kind={false} /><span className="sub">{x.kind} {x.address}</span></> },
  { name: 'State', by: (r) => r.x.state, of: ({ x }) => <><Badge tone={tones[x.state] ?? 'muted'}>{x.state}</Badge>{x.error && <span className="sub tone-bad">{x.error}</span>}</> },
  { name: 'Signal', by: (r) => r.n?.signal ?? '', of: ({ n }) => n?.signal ?? <span className="quiet">nothing yet</span> },
  { name: 'Sent', number: true, minor: true, by: (r) => r.n?.sent ?? 0, of: ({ n }) => (n ? count(n.sent) : '') },
  { name: 'Waiting', number: true, minor: true, by: (r) => r.n?.queued ?? 0, of: ({ n }) => (n?.queueLimit ? `${count(n.queued)} of ${count(n.queueLimit)}` : '') },
  { name: 'Lost', by: (r) => (r.n ? lostOf(r.n) : ''), of: ({ n }) => (n && lostOf(n) ? <span className="tone-bad">{lostOf(n)}</span> : <span className="quiet">nothing</span>) },
  { name: 'Last taken', minor: true, by: (r) => r.n?.lastSuccess ?? '', of: ({ n }) => <Ago at={n?.lastSuccess} /> },
]

/** Sinks are where telemetry of this process goes, and what has not got there. */
export function Sinks() {
  const { data: status } = useStatus()
  const rows = (status?.sinks ?? []).flatMap((x): Row[] => (x.signals.length ? x.signals.map((n) => ({ x, n })) : [{ x }]))
  if (!rows.length) return null
  return (
    <Panel title="Telemetry sinks" note="of this process" flush>
      <Table label="Telemetry sinks" columns={columns} rows={rows} rowKey={(r) => `${r.x.name} ${r.n?.signal}`} first="Sink" most={50} />
    </Panel>
  )
}
