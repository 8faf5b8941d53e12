import { useEffect, useRef, useState } from 'react'
import { Problem, stream } from '../api/client'
import type { TapEvent as Passing } from '../api/schema.gen'
import { latency } from '../lib/format'
import { useWhoami } from '../api/queries'
import { useHidden } from '../lib/hidden'
import { Link, to } from '../lib/router'
import { may } from '../ui/action'
import { Badge } from '../ui/badge'
import { Icon } from '../ui/icon'
import { Panel } from '../ui/panel'
import { Empty, Fault } from '../ui/state'
import { outcome } from './traces'

// What has passed before these is gone from the page.
const most = 200

/** Tap shows what passes, as long as somebody looks. It begins when it is asked to: it is written to the audit log. */
export function Tap({ of }: { of: Record<string, string> }) {
  const { data: me } = useWhoami()
  const allowed = may(me, 'operator')
  const [running, setRunning] = useState(false)
  const [list, setList] = useState<(Passing & { n: number })[]>([])
  const [problem, setProblem] = useState<Problem>()
  // Nobody looks at a tab that is hidden: the proxies need not send.
  const hidden = useHidden()
  const query = JSON.stringify(of)
  const next = useRef(0)
  useEffect(() => {
    if (!running || hidden) return
    const stop = new AbortController()
    let waiting: (Passing & { n: number })[] = []
    // A busy service sends more than a page can draw at once.
    const show = () => {
      if (!waiting.length) return
      const come = waiting.reverse()
      waiting = []
      setList((old) => [...come, ...old].slice(0, most))
    }
    const timer = setInterval(show, 250)
    stream('/v1/tap', JSON.parse(query) as Record<string, string>, stop.signal, (line) => {
      waiting.push({ ...(JSON.parse(line) as Passing), n: next.current++ })
      if (waiting.length > most) waiting = waiting.slice(-most)
    })
      .catch((cause: unknown) => {
        if (!stop.signal.aborted) setProblem(cause instanceof Problem ? cause : new Problem(0, 'The tap has ended', String(cause)))
      })
      .finally(() => {
        if (stop.signal.aborted) return
        show()
        setRunning(false)
      })
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  }, [running, hidden, query])
  return (
    <Panel
      title="Live"
      note={running ? 'what passes now' : ''}
      flush
      className="span-12"
      actions={
        allowed && (
        <button
          type="button"
          className="button"
          onClick={() => {
            setProblem(undefined)
            setRunning(!running)
          }}
        >
          <Icon name={running ? 'pause' : 'play'} size={12} /> {running ? 'Stop' : 'Tap'}
        </button>
        )
      }
    >
      {problem ? (
        <Fault problem={problem} what="tap" />
      ) : list.length ? (
        <ul className="tap" tabIndex={0} aria-label="What passes">
          {list.map((e) => (
            <Line key={e.n} e={e} />
          ))}
        </ul>
      ) : (
        <Empty title={me && !allowed ? 'Live traffic is for operators' : running ? 'Nothing has passed yet' : 'Nobody looks'}>{me && !allowed ? `You are ${me.role}. Who may operate this gateway sees requests here as they pass, and the audit log has who looked.` : running ? 'The next request appears here.' : 'Tap shows requests as they pass, at all proxies. Values of queries and credentials are hidden, and the audit log has who looked.'}</Empty>
      )}
    </Panel>
  )
}

function Line({ e }: { e: Passing }) {
  if (e.type === 'left-out') return <li className="said">{(e.limited ?? 0) + (e.lost ?? 0)} more were left out: there were too many</li>
  if (e.type === 'unreached') return <li className="said">{e.proxy} is not looked at: {e.why}</li>
  const [tone, word] = e.type === 'open' ? (['muted', 'opened'] as const) : outcome({ status: e.status, grpcStatus: e.grpc?.status, failed: e.failed })
  return (
    <li>
      <time dateTime={e.time}>{e.time.slice(11, 23)}</time>
      <Badge tone={tone}>{word}</Badge>
      <span className="what" title={e.proxy}>
        <span className="quiet">
          {e.source.service || e.source.address} → {e.destination.service || e.destination.address || '–'}{' '}
        </span>
        {e.traceId ? (
          <Link to={to('traces', e.traceId)}>
            {e.method} {e.path}
          </Link>
        ) : (
          `${e.method ?? e.protocol ?? ''} ${e.path ?? ''}`
        )}
        {e.query && <span className="quiet">?{e.query}</span>} {e.reason && <span className="tone-bad">{e.reason}</span>}
      </span>
      <span>{e.type === 'open' ? '' : latency(e.durationMs * 1e6)}</span>
    </li>
  )
}
