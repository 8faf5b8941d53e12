import type { ReactNode } from 'react'
import type { Traces as TraceList, TraceSummary } from '../api/schema.gen'
import { useMaybe } from '../api/queries'
import { latency, plural } from '../lib/format'
import { refOf, short } from '../lib/names'
import { Link, navigate, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Ago, Meter, RouteName, Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Unreached } from './trace'

/** outcome is how something ended, in a word. */
export function outcome(r: { status?: number; grpcStatus?: string; reason?: string; failed?: boolean; denied?: boolean }): [Tone, string] {
  const word = r.grpcStatus || (r.status ? String(r.status) : 'no answer')
  if (r.failed || (r.status ?? 0) >= 500) return ['bad', word]
  if (r.denied || (r.status ?? 0) >= 400) return ['warn', word]
  return r.status || r.grpcStatus ? ['good', word] : ['muted', word]
}

/** Picked are traces that were chosen to be compared. */
interface Picked {
  list: string[]
  turn: (id: string) => void
}

// By service or route, proxies tell of their own part alone: how many hops there were is not known then.
function columns(longest: number, picked?: Picked, parts?: boolean): Column<TraceSummary>[] {
  return [
    ...(picked ? [picker(picked)] : []),
    {
      name: 'Request',
      grow: true,
      by: (t) => `${t.path} ${t.method}`,
      of: (t) => (
        <>
          <Link to={to('traces', t.traceID)}>
            <code>
              {t.method} {t.path || t.protocol}
            </code>
          </Link>
          <span className="sub">
            {t.host} {t.services?.length ? `→ ${t.services.map((s) => short(refOf(s))).join(' → ')}` : ''}
          </span>
        </>
      ),
    },
    {
      name: 'Outcome',
      by: (t) => outcome(t)[1],
      of: (t) => {
        const [tone, word] = outcome(t)
        return (
          <>
            <Badge tone={tone}>{word}</Badge>
            {t.reason && <span className="sub whole">{t.reason}</span>}
          </>
        )
      },
    },
    { name: 'Route', minor: true, by: (t) => t.route ?? '', of: (t) => (t.route ? <RouteName of={t.route} /> : '–') },
    ...(parts ? [] : hops),
    {
      name: 'Took',
      number: true,
      by: (t) => t.duration,
      of: (t) => (
        <>
          {latency(t.duration)} <Meter share={t.duration / longest} tone={t.slow ? 'warn' : ''} />
        </>
      ),
    },
    { name: 'When', number: true, by: (t) => Date.parse(t.start), of: (t) => <Ago at={t.start} /> },
  ]
}

const hops: Column<TraceSummary>[] = [
  { name: 'Hops', number: true, minor: true, by: (t) => t.records, of: (t) => t.records },
  { name: 'Tries', number: true, minor: true, by: (t) => t.tries, of: (t) => t.tries },
]

const picker = ({ list, turn }: Picked): Column<TraceSummary> => ({
  name: 'Compare',
  of: (t) => <input type="checkbox" checked={list.includes(t.traceID)} disabled={list.length >= 2 && !list.includes(t.traceID)} onChange={() => turn(t.traceID)} aria-label={`Compare ${t.method ?? t.protocol ?? ''} ${t.path ?? ''} of ${new Date(t.start).toLocaleTimeString('en-GB')}`} />,
})

function List({ list, empty, picked, parts }: { list: TraceSummary[]; empty: ReactNode; picked?: Picked; parts?: boolean }) {
  // A stream of minutes must not make all others a dot.
  const longest = [...list.map((t) => t.duration)].sort((x, y) => x - y)[Math.floor((list.length - 1) * 0.95)] || 1
  return <Table label="Traces" columns={columns(longest, picked, parts)} rows={list} rowKey={(t) => t.traceID} first="-When" most={50} empty={empty} />
}

export function Traces() {
  const [service, setService] = useParameter('service')
  const [route, setRoute] = useParameter('route')
  const [slow, setSlow] = useParameter('slow')
  const [errors, setErrors] = useParameter('errors')
  const [text, setText] = useParameter('q')
  const [a, setA] = useParameter('a')
  const [b, setB] = useParameter('b')
  const traces = useMaybe<TraceList>('/v1/traces', { service, route, slow, errors, limit: 500 }, 15_000)
  const needle = text.toLowerCase()
  const list = (traces.data?.traces ?? []).filter((t) => !needle || `${t.method} ${t.host}${t.path} ${t.reason ?? ''} ${t.status ?? ''} ${t.requestID} ${t.traceID}`.toLowerCase().includes(needle))
  const picked: Picked = {
    list: [a, b].filter(Boolean),
    turn: (id) => (id === a ? setA('') : id === b ? setB('') : a ? setB(id) : setA(id)),
  }
  return (
    <Page title="Traces" about="What proxies remember: requests that were sampled, were slow, have failed or were refused. What is not notable is gone after a while.">
      <div className="filters">
        <Search value={text} set={setText} label="Path, host, reason or ID" />
        <input type="text" className="search" value={service} placeholder="Service" aria-label="Service" onChange={(e) => setService(e.target.value)} spellCheck={false} />
        <input type="text" className="search" value={route} placeholder="Route" aria-label="Route" onChange={(e) => setRoute(e.target.value)} spellCheck={false} />
        <select value={slow} onChange={(e) => setSlow(e.target.value)} aria-label="Took at least">
          <option value="">however long</option>
          {['50ms', '100ms', '250ms', '500ms', '1s', '5s'].map((d) => (
            <option key={d} value={d}>
              {d} or more
            </option>
          ))}
        </select>
        <div className="chips">
          <button type="button" aria-pressed={errors === 'true'} onClick={() => setErrors(errors ? '' : 'true')}>
            failed or refused
          </button>
        </div>
        <Lookup />
      </div>
      <Panel title="Notable traces" flush note={traces.data && plural(list.length, 'trace')} actions={picked.list.length > 0 && <Chosen picked={picked} />}>
        <Shown of={traces} what="traces">
          {(t) => (
            <>
              <Unreached list={t.unreached} />
              <List list={list} picked={picked} parts={service !== '' || route !== ''} empty={<Empty title="Nothing notable is remembered">{service || route || slow || errors || text ? 'Ask for less.' : 'Requests that fail, are refused or take more than a second appear here by themselves.'}</Empty>} />
            </>
          )}
        </Shown>
      </Panel>
    </Page>
  )
}

/** Chosen leads to the comparison as soon as there are two. */
function Chosen({ picked: { list } }: { picked: Picked }) {
  if (list.length < 2) return <span className="quiet">choose another to compare with</span>
  return (
    <Link className="button" to={`/traces/compare?${new URLSearchParams({ a: list[0]!, b: list[1]! })}`}>
      Compare these two
    </Link>
  )
}

/** Lookup goes to the trace of a request by its ID, notable or not. */
function Lookup() {
  return (
    <form
      className="lookup"
      onSubmit={(e) => {
        e.preventDefault()
        const id = new FormData(e.currentTarget).get('id')?.toString().trim()
        if (id) navigate(/^[0-9a-f]{32}$/.test(id) ? to('traces', id) : to('requests', id))
      }}
    >
      <input type="text" name="id" className="search" placeholder="Trace or request ID" aria-label="Trace or request ID" spellCheck={false} autoComplete="off" />
      <button type="submit" className="button">
        Look up
      </button>
    </form>
  )
}

/** RecentTraces are those of one route or service. */
export function RecentTraces({ of }: { of: Record<string, string> }) {
  const traces = useMaybe<TraceList>('/v1/traces', { ...of, limit: 10 }, 10_000)
  if (traces.error && (traces.error.status === 404 || traces.error.status === 409)) return null
  return (
    <Panel title="Recent traces" note="notable ones" flush className="span-12" actions={<Link to={`/traces?${new URLSearchParams(of)}`}>All of them</Link>}>
      <Shown of={traces} what="traces">
        {(t) => <List parts list={t.traces ?? []} empty={<Empty title="Nothing notable is remembered">Requests that fail, are refused or take long appear here.</Empty>} />}
      </Shown>
    </Panel>
  )
}
