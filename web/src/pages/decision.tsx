import type { ReactNode } from 'react'
import type { DryrunBackend, DryrunCandidate, DryrunDecision, IrRef } from '../api/schema.gen'
import { latency, percent } from '../lib/format'
import { clusterLabel, routeOf } from '../lib/names'
import { Link, to } from '../lib/router'
import { Badge } from '../ui/badge'
import { Icon, type IconName } from '../ui/icon'
import { Meter, ObjectLink, Where } from '../ui/small'

type Standing = 'good' | 'bad' | 'info' | ''

interface StopProps {
  step: string
  title: ReactNode
  state?: Standing
  icon?: IconName
  place?: IrRef
  children?: ReactNode
}

function Stop({ step, title, state = 'good', icon = 'good', place, children }: StopProps) {
  return (
    <li className={state}>
      <span className="stop">
        <Icon name={icon} size={14} />
      </span>
      <div className="text">
        <div className="line">
          <span className="step">{step}</span>
          <b>{title}</b>
          <Where place={place} />
        </div>
        {children}
      </div>
    </li>
  )
}

const nameOf = (r: IrRef) => `${r.kind}/${r.namespace ? `${r.namespace}/` : ''}${r.name}`

/** Decision is the path of a request, from the listener to where it ends. */
export function Decision({ of: d }: { of: DryrunDecision }) {
  const found = d.route !== undefined
  return (
    <>
      <ol className="path">
        <Stop step="Listener" title={d.listener || 'none'} state={d.listener ? 'good' : 'bad'} icon={d.listener ? 'good' : 'bad'} />
        {d.section && (
          <Stop step="Section" title={d.section.name.replace(/^Gateway\//, '')} place={d.section.ref}>
            {d.sectionWhy && <span className="quiet">{d.sectionWhy}</span>}
          </Stop>
        )}
        {found && (
          <Stop step="Route" title={<Link to={to('routes', routeOf(d.route!.name))}>{routeOf(d.route!.name).replace('/default/', ' ')}</Link>} place={d.route!.ref} />
        )}
        {d.rule && (
          <Stop step="Rule" title={d.rule.name} place={d.rule.ref}>
            {d.match?.path && (
              <code>
                {d.match.method} {d.match.path.type} {d.match.path.value}
              </code>
            )}
          </Stop>
        )}
        {d.authenticatedBy && <Authentication d={d} />}
        {d.authorization?.map((a) => (
          <Stop key={`${a.policy} ${a.rule}`} step="May it?" title={a.policy} place={a.ruleRef ?? a.ref} state={a.action === 'Deny' ? 'bad' : a.action === 'Allow' ? 'good' : 'info'} icon={a.action === 'Deny' ? 'bad' : a.action === 'Allow' ? 'good' : 'info'}>
            <span className="quiet">
              {a.action || 'no rule holds'} {a.rule && `by rule ${a.rule}`} {a.dryRun && '(dry run: it counts only)'}
            </span>
          </Stop>
        ))}
        {d.rateLimits?.length ? <Limits d={d} /> : null}
        <End d={d} />
      </ol>
      <Beside d={d} />
    </>
  )
}

function Authentication({ d }: { d: DryrunDecision }) {
  const passed = d.caller !== undefined
  return (
    <Stop step="Who calls?" title={<ObjectLink of={`AuthenticationPolicy/${d.authenticatedBy}`} kind={false} />} state={passed ? 'good' : d.action === 'reply' ? 'bad' : 'info'} icon={passed ? 'good' : d.action === 'reply' ? 'bad' : 'info'}>
      {d.caller && (
        <span>
          {d.caller.consumer ?? d.caller.subject ?? 'somebody'} <span className="quiet">by {d.caller.method}{d.caller.plan ? `, plan ${d.caller.plan}` : ''}</span>
        </span>
      )}
      {d.authentication?.map((f) => (
        <span className="quiet" key={f.method}>
          {f.method}: {f.outcome}
          {f.detail && `, ${f.detail}`}
        </span>
      ))}
    </Stop>
  )
}

function Limits({ d }: { d: DryrunDecision }) {
  const apply = d.rateLimits!.filter((l) => l.applies)
  return (
    <Stop step="How often?" title={apply.length ? `${apply.length} of ${d.rateLimits!.length} limits apply` : 'no limit applies'} state="info" icon="info">
      {d.rateLimits!.map((l) => (
        <span key={`${l.policy} ${l.name}`} className={l.applies ? '' : 'quiet'}>
          {l.policy} {l.name}: {l.limit} {l.key && <>for {l.key}</>} {l.note} <Where place={l.ref} />
        </span>
      ))}
    </Stop>
  )
}

function End({ d }: { d: DryrunDecision }) {
  if (d.action === 'refuse') return <Stop step="End" title="The connection is refused" state="bad" icon="bad" />
  if (d.action === 'reply') {
    const bad = (d.reply?.status ?? 500) >= 400
    return (
      <Stop step="Reply" title={<>{d.reply?.status} {d.reply?.reason}</>} state={bad ? 'bad' : 'info'} icon={bad ? 'bad' : 'out'}>
        {d.reply?.detail && <span>{d.reply.detail}</span>}
        {d.reply?.grpc && (
          <span>
            To gRPC: <b>{d.reply.grpc.name}</b> ({d.reply.grpc.code}), in an HTTP status of {d.reply.grpc.httpStatus}
          </span>
        )}
        {d.decidedBy && (
          <span className="quiet">
            decided by {d.decidedBy} {d.decidedByRule}
          </span>
        )}
        {d.reply?.headers?.length ? <Headers list={d.reply.headers} /> : null}
      </Stop>
    )
  }
  return (
    <Stop step="Sent to" title={d.backends?.length === 1 ? '' : `one of ${d.backends?.length ?? 0}`} state="info" icon="out">
      <ul className="ways">
        {d.backends?.map((b) => (
          <Way key={b.name} b={b} />
        ))}
      </ul>
      {d.mirrors?.map((m) => (
        <span className="quiet" key={m.name}>
          and a copy of {m.percent} % to {m.name}
        </span>
      ))}
    </Stop>
  )
}

function Way({ b }: { b: DryrunBackend }) {
  const u = b.upstream
  return (
    <li className="way">
      <div className="line">
        <b>{b.cluster ? <Link to={to('services', b.cluster)}>{clusterLabel(b.cluster)}</Link> : b.name}</b>
        <span>
          <Meter share={b.percent / 100} /> {percent(b.percent / 100)}
        </span>
        {b.problem && <Badge tone="bad">{b.problem}</Badge>}
        <Where place={b.ref} />
      </div>
      {u && (
        <code>
          {u.method} {u.scheme}://{u.host}
          {u.path}
          {u.query && `?${u.query}`}
        </code>
      )}
      <span className="quiet">
        {b.balance} over {b.endpoints?.map((e) => e.address).join(', ') || b.sources?.join(', ') || 'no endpoint'}
        {b.connectTimeout ? `, connects within ${latency(b.connectTimeout)}` : ''}
      </span>
      {u?.headers?.length ? <Headers list={u.headers} /> : null}
    </li>
  )
}

const Headers = ({ list }: { list: { name: string; value: string }[] }) => (
  <details>
    <summary className="quiet">{list.length} headers</summary>
    {list.map((h, i) => (
      <code key={i} className="sub">
        {h.name}: {h.value}
      </code>
    ))}
  </details>
)

/** Beside is what did not decide, and what the policies come to. */
function Beside({ d }: { d: DryrunDecision }) {
  const others: DryrunCandidate[] = [...(d.others ?? []), ...(d.otherSections ?? [])]
  const p = d.policy
  return (
    <div className="stack beside">
      {d.notes?.map((n) => (
        <p key={n} className="quiet">
          {n}
        </p>
      ))}
      {d.policies?.length ? (
        <div>
          <h3>Policies in force</h3>
          <p className="tags">
            {d.policies.map((r) => (
              <span key={nameOf(r)}>
                <ObjectLink of={nameOf(r)} /> <Where place={r} />
              </span>
            ))}
          </p>
          {p && (p.timeouts || p.retry) && (
            <p className="quiet">
              {p.timeouts?.request ? `answered within ${latency(p.timeouts.request)}` : 'no limit of time'}
              {p.timeouts?.perTry ? `, each try within ${latency(p.timeouts.perTry)}` : ''}
              {p.retry ? `, ${p.retry.attempts} retries` : ', no retries'}
            </p>
          )}
        </div>
      ) : null}
      {others.length > 0 && (
        <details>
          <summary>
            {others.length + (d.omitted ?? 0)} others were considered
          </summary>
          <ul className="others">
            {others.map((c, i) => (
              <li key={i}>
                <b>{c.name || c.rule}</b> <code>{c.match}</code> <Where place={c.ref} />
                <span className="sub">{c.why}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}
