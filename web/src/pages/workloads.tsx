import type { MeshProxy } from '../api/schema.gen'
import { Link } from '../lib/router'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Ago } from '../ui/small'
import { type Column, Table } from '../ui/table'

const tones: Record<string, Tone> = { Serving: 'good', Newer: 'good', Refused: 'bad', Gone: 'warn' }

/** workloadsOf are the proxies before the workloads of a service, "NAMESPACE/NAME". */
export const workloadsOf = (proxies: MeshProxy[], service: string): MeshProxy[] => proxies.filter((p) => (p.role === 'sidecar' && p.name.startsWith(`${service}/`)) || p.workloads?.some((w) => `${w.namespace}/${w.service}` === service))

/** healthyIn tells whether the workloads of a service behind a proxy take requests; unknown is not unhealthy. */
const healthyIn = (p: MeshProxy, service: string): boolean => (p.workloads ?? []).filter((w) => `${w.namespace}/${w.service}` === service).every((w) => w.healthy)

/** Workloads are the proxies of a service: where its requests end. */
export function Workloads({ list, service }: { list: MeshProxy[]; service: string }) {
  const columns: Column<MeshProxy>[] = [
    { name: 'Proxy', by: (p) => p.name, of: (p) => <><code>{p.name}</code>{p.zone && <span className="sub">{p.zone}</span>}</> },
    { name: 'Workload', by: (p) => (healthyIn(p, service) ? 0 : 1), of: (p) => <Badge tone={healthyIn(p, service) && p.state !== 'Gone' ? 'good' : 'bad'}>{p.state === 'Gone' ? 'gone' : healthyIn(p, service) ? 'healthy' : 'unhealthy'}</Badge> },
    { name: 'Configuration', minor: true, by: (p) => p.state, of: (p) => <><Badge tone={tones[p.state] ?? 'info'}>{p.state}</Badge> <span className="quiet">revision {p.revision}</span></> },
    { name: 'Version', minor: true, by: (p) => p.version ?? '', of: (p) => p.version || '–' },
    { name: 'Since', number: true, by: (p) => p.since, of: (p) => <Ago at={p.since} /> },
  ]
  return (
    <Panel title="Workloads" note="with a proxy of the mesh" flush className="span-12" actions={<Link to="/mesh">All proxies</Link>}>
      <Table label="Workloads" columns={columns} rows={list} rowKey={(p) => p.name} first="Proxy" most={50} />
    </Panel>
  )
}
