import { useNow } from '../lib/clock'
import { ago } from '../lib/format'
import { fileName, refOf, routeOf, short, wholePlace } from '../lib/names'
import { Link, to } from '../lib/router'
import type { Place } from '../api/schema.gen'
import { Kind } from './badge'

export function Ago({ at }: { at?: string }) {
  const now = useNow()
  if (!at || at.startsWith('0001-')) return <>–</>
  return (
    <time dateTime={at} title={new Date(at).toLocaleString('en-GB', { timeZoneName: 'short' })}>
      {ago(at, now)}
    </time>
  )
}

/** Where is a place in a file, of which the whole path is in the title. */
export function Where({ place }: { place?: Place }) {
  if (!place?.file) return null
  return (
    <code className="where" title={wholePlace(place)}>
      {fileName(place)}
    </code>
  )
}

/** ObjectLink leads to an object of the configuration, by "Kind/namespace/name". */
export function ObjectLink({ of, kind = true }: { of: string; kind?: boolean }) {
  const r = refOf(of)
  return (
    <span className="object">
      {kind && <Kind>{r.kind}</Kind>}
      <Link to={to('configuration', r.kind, r.namespace || '-', r.name)}>{short(r)}</Link>
    </span>
  )
}

/** RouteName leads to a route; a section of a sidecar, which is served like one, has no page. */
export function RouteName({ of }: { of: string }) {
  const name = routeOf(of)
  const r = refOf(name)
  return /Route$/.test(r.kind) ? <Link to={to('routes', name)}>{short(r)}</Link> : <span className="quiet">{short(r)}</span>
}

export function Search({ value, set, label }: { value: string; set: (v: string) => void; label: string }) {
  return <input type="search" className="search" value={value} placeholder={label} aria-label={label} onChange={(e) => set(e.target.value)} spellCheck={false} autoComplete="off" />
}

/** Meter is a share of 1 as a bar; the number stands beside it. */
export function Meter({ share, tone }: { share: number; tone?: string }) {
  return (
    <span className={`meter ${tone ?? ''}`} aria-hidden="true">
      <i style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
    </span>
  )
}

/** Spark is a small line of what has been lately. */
export function Spark({ values, tone, label }: { values: number[]; tone?: string; label: string }) {
  const list = values.slice(-60)
  if (list.length < 2) return <span className="spark" />
  const top = Math.max(...list, 1e-9)
  const points = list.map((v, i) => `${((i / (list.length - 1)) * 96 + 2).toFixed(1)},${(22 - (v / top) * 20).toFixed(1)}`).join(' ')
  return (
    <svg className={`spark ${tone ?? ''}`} viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline points={points} />
    </svg>
  )
}
