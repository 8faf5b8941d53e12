import type { ReactNode } from 'react'
import type { Traces as TraceList, TraceSummary } from '../api/schema.gen'
import { useMaybe } from '../api/queries'
import { latency, plural } from '../lib/format'
import { refOf, short } from '../lib/names'
import { Link, navigate, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Ago, Meter, RouteName } from '../ui/small'
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

function columns(longest: number): Column<TraceSummary>[] {
  return [
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
    { name: 'Hops', number: true, minor: true, by: (t) => t.records, of: (t) => t.records },
    { name: 'Tries', number: true, minor: true, by: (t) => t.tries, of: (t) => t.tries },
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

function List({ list, empty }: { list: TraceSummary[]; empty: ReactNode }) {
  const longest = Math.max(1, ...list.map((t) => t.duration))
  return <Table label="Traces" columns={columns(longest)} rows={list} rowKey={(t) => t.traceID} first="-When" most={50} empty={empty} />
}

export function Traces() {
  const [service, setService] = useParameter('service')
  const [route, setRoute] = useParameter('route')
  const [slow, setSlow] = useParameter('slow')
  const [errors, setErrors] = useParameter('errors')
  const traces = useMaybe<TraceList>('/v1/traces', { service, route, slow, errors, limit: 200 }, 5000)
  return (
    <Page title="Traces" about="What proxies remember: requests that were sampled, were slow, have failed or were refused. What is not notable is gone after a while.">
      <div className="filters">
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
      <Panel title="Notable traces" flush note={traces.data && plural(traces.data.traces?.length ?? 0, 'trace')}>
        <Shown of={traces} what="traces">
          {(t) => (
            <>
              <Unreached list={t.unreached} />
              <List list={t.traces ?? []} empty={<Empty title="Nothing notable is remembered">{service || route || slow || errors ? 'Ask for less.' : 'Requests that fail, are refused or take more than a second appear here by themselves.'}</Empty>} />
            </>
          )}
        </Shown>
      </Panel>
    </Page>
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
        {(t) => <List list={t.traces ?? []} empty={<Empty title="Nothing notable is remembered">Requests that fail, are refused or take long appear here.</Empty>} />}
      </Shown>
    </Panel>
  )
}
