import { useId, useState } from 'react'
import { type Change, changed, make } from '../api/changes'
import { Problem } from '../api/client'
import { useStatus, useWhoami } from '../api/queries'
import type { Effect, ObjectsApplied } from '../api/schema.gen'
import { plural } from '../lib/format'
import { differently } from '../pages/effectview'
import { Badge } from './badge'

interface ApplyProps {
  change: Change
  /** effect is that of the change as it is now; without it nothing can be applied. */
  effect: Effect | undefined
  /** word is what the button says. */
  word: string
  /** why is what keeps it from being applied, if something does. */
  why?: string
  expect?: number
  done?: () => void
}

/** Apply makes a change: with a message, and asking once more where requests would be decided otherwise. */
export function Apply({ change, effect, word, why, expect, done }: ApplyProps) {
  const { data: me } = useWhoami()
  const [message, setMessage] = useState('')
  const [asked, setAsked] = useState<Effect>()
  const [state, setState] = useState<{ busy?: boolean; problem?: Problem; applied?: ObjectsApplied; before?: number }>({})
  const id = useId()
  const otherwise = differently(effect)
  const sure = asked === effect || otherwise === 0
  const go = async () => {
    if (!sure) return setAsked(effect)
    setState({ busy: true })
    try {
      const applied = await make(change, message.trim(), expect)
      setState({ applied, before: effect!.revision })
      setAsked(undefined)
      changed()
      done?.()
    } catch (cause) {
      setState({ problem: cause instanceof Problem ? cause : new Problem(0, 'No answer', String(cause)) })
      setAsked(undefined)
    }
  }
  const kept = me?.role === 'viewer' ? 'Your role may look, and not change. Log in with a token of an operator to apply it.' : why
  return (
    <div className="apply">
      {!kept && (
        <div className="field">
          <label htmlFor={id}>Why, for the list of revisions</label>
          <input id={id} type="text" value={message} maxLength={1000} onChange={(e) => setMessage(e.target.value)} />
        </div>
      )}
      {kept && <p className="hint">{kept}</p>}
      {!kept && (
        <button type="button" className="button first" disabled={!effect?.valid || state.busy} onClick={() => void go()}>
          {asked && asked === effect ? `${word} all the same` : word}
        </button>
      )}
      <div role="status">
        {asked && asked === effect && <p className="tone-warn">{plural(otherwise, 'request')} of those that have passed lately would be decided otherwise. Have a look at them before.</p>}
        {state.busy && <p className="quiet">It is being applied.</p>}
        {state.applied && <Progress of={state.applied} before={state.before!} />}
      </div>
      {state.problem && <Refused of={state.problem} />}
    </div>
  )
}

/** Progress says how far a change has come. */
function Progress({ of: a, before }: { of: ObjectsApplied; before: number }) {
  const { data: s } = useStatus()
  const changes = (a.changes ?? []).filter((c) => c.op !== 'unchanged')
  if (!changes.length) return <p>Nothing is different: there is no new revision.</p>
  const there = s && s.revision.number > before
  const proxies = s?.mesh?.proxies.length ?? 0
  return (
    <p>
      <Badge tone="good">Revision {a.revision}</Badge> {changes.map((c) => `${c.kind} ${c.name} ${c.op}`).slice(0, 5).join(', ')}.{' '}
      {!there ? 'It is being put in service.' : proxies ? `${s.mesh!.serving} of ${proxies} proxies serve it.` : 'It is in service.'}
    </p>
  )
}

function Refused({ of: p }: { of: Problem }) {
  return (
    <div className="refused" role="alert">
      <p className="tone-bad">{p.detail || p.title}</p>
      <ul>
        {p.errors.map((d, i) => (
          <li key={i}>
            {d.line && !d.file ? <code className="where">line {d.line}</code> : d.file ? <code className="where">{d.file}</code> : null} {d.object} {d.field && <code>{d.field}</code>} {d.message}
            {d.hint && `; ${d.hint}`}
          </li>
        ))}
      </ul>
    </div>
  )
}
