import type { ReactNode } from 'react'
import type { Problem } from '../api/client'
import type { Answer } from '../api/queries'
import { Icon } from './icon'

export function Loading({ what }: { what: string }) {
  return (
    <div className="loading" role="status">
      <span className="bones" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span className="hidden">Loading {what}</span>
    </div>
  )
}

/** Empty says why there is nothing, and what would make something appear. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  )
}

export function Fault({ problem, what }: { problem: Problem; what: string }) {
  // 409 is how the API says that this process is none of those that have it.
  const missing = problem.status === 404 || problem.status === 409
  return (
    <div className={missing ? 'empty' : 'fault'} role={missing ? undefined : 'alert'}>
      <p className="title">
        {!missing && <Icon name="bad" />}
        {missing ? `This process has no ${what}` : problem.status === 0 ? 'The process does not answer' : `${what[0]?.toUpperCase()}${what.slice(1)} cannot be shown`}
      </p>
      <p>{remedyOf(problem)}</p>
    </div>
  )
}

function remedyOf(p: Problem): string {
  switch (p.status) {
    case 0:
      return 'It may have been stopped, or the way to it is cut. This page asks again by itself.'
    case 403:
      return `${p.detail || 'Your role does not allow this.'} Log in with a token of a higher role to see it.`
    case 409:
      return `${p.detail[0]?.toUpperCase() ?? ''}${p.detail.slice(1)}.`
    case 404:
      return 'Processes differ in what they know: a sidecar has no objects, and a gateway without a state store has no mesh. A newer version may have it, too.'
    default:
      return p.detail || p.title
  }
}

/** Shown draws an answer, or why there is none yet. What was there before stays while it is asked anew. */
export function Shown<T>({ of, what, children }: { of: Answer<T>; what: string; children: (value: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>
  if (of.error) return <Fault problem={of.error} what={what} />
  return <Loading what={what} />
}
