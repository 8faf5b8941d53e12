import { every, useAudit, useMaybe, useStatus, useWhoami } from '../api/queries'
import type { ObjectsRevision as Kept } from '../api/schema.gen'
import { latency, plural } from '../lib/format'
import { serviceOf } from '../lib/names'
import { Icon } from '../ui/icon'
import { Ago, ObjectLink } from '../ui/small'

/** Changes are what was done to the configuration lately, and to the mesh. */
export function Changes() {
  const kept = useMaybe<Kept[]>('/v1/revisions', { limit: 6 }, every.rare)
  return (
    <ul className="matters">
      {kept.data?.length ? kept.data.map((r) => <Revision key={r.number} of={r} />) : <Served />}
      <Audit most={kept.data?.length ? 3 : 6} />
    </ul>
  )
}

function Revision({ of: r }: { of: Kept }) {
  const changes = r.changes ?? []
  return (
    <li>
      <Icon name="configuration" />
      <span className="what">Revision {r.number}</span>
      <Ago at={r.at} />
      <span className="why">
        {r.message && <>{r.message}. </>}
        {changes.slice(0, 3).map((c) => (
          <span key={`${c.kind}/${c.namespace}/${c.name}`}>
            {c.op} <ObjectLink of={[c.kind, c.namespace, c.name].filter(Boolean).join('/')} />{' '}
          </span>
        ))}
        {changes.length > 3 && `and ${plural(changes.length - 3, 'more object')} `}
        {r.source === 'files' ? 'from files' : r.by ? `by ${r.by}` : ''}
      </span>
    </li>
  )
}

/** Served is the revision that serves, where those before it are not kept. */
function Served() {
  const { data: s } = useStatus()
  if (!s) return null
  return (
    <li>
      <Icon name="configuration" />
      <span className="what">Revision {s.revision.number}</span>
      <Ago at={s.revision.at} />
      <span className="why">
        {plural(Object.values(s.objects).reduce((a, b) => a + b, 0), 'object')}, put in service in {latency(s.revision.took ?? 0)}
      </span>
    </li>
  )
}

function Audit({ most }: { most: number }) {
  const me = useWhoami()
  const audit = useAudit()
  if (audit.error)
    return (
      <li>
        <Icon name="info" />
        <span className="what quiet">No audit log</span>
        <span />
        <span className="why">{audit.error.status === 403 ? `It is for admins, and you are ${me.data?.role ?? 'none'}.` : audit.error.detail}</span>
      </li>
    )
  return audit.data?.slice(0, most).map((c) => (
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
  ))
}

const ObjectOrName = ({ of }: { of: string }) => (/^[A-Z]\w+\/[^/]+\/[^/:]+$/.test(of) ? <ObjectLink of={of} /> : <>{serviceOf(of.replace(/^Identity\//, ''))}</>)
