import { useState } from 'react'
import { useMaybe } from '../api/queries'
import type { Trace } from '../api/schema.gen'
import { align, type Difference, differences, type Pair, type Side } from '../lib/align'
import { latency, plural } from '../lib/format'
import { Link, to, useParameter } from '../lib/router'
import { endOf } from '../lib/timeline'
import { Page } from '../shell'
import { Badge } from '../ui/badge'
import { Panel, Stat, Stats } from '../ui/panel'
import { Ago } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { HopName, Unreached } from './trace'
import { outcome } from './traces'

/** Compare puts two traces side by side: what is different, and where the time has gone. */
export function Compare() {
  const [a] = useParameter('a')
  const [b] = useParameter('b')
  const first = useMaybe<Trace>(`/v1/traces/${encodeURIComponent(a)}`, {}, false, a !== '')
  const second = useMaybe<Trace>(`/v1/traces/${encodeURIComponent(b)}`, {}, false, b !== '')
  return (
    <Page title="Two traces" crumbs={[['Traces', '/traces']]} about="Hops that do the same for the same service stand in one line. Times are compared with those of A.">
      {a && b ? (
        <Shown of={first} what="record of trace A">{(x) => <Shown of={second} what="record of trace B">{(y) => (x.hops.length && y.hops.length ? <Both a={x} b={y} /> : <Gone />)}</Shown>}</Shown>
      ) : (
        <Panel title="Two traces">
          <Empty title="Two are needed">
            Choose them in <Link to="/traces">the list</Link>.
          </Empty>
        </Panel>
      )}
    </Page>
  )
}

const Gone = () => <Empty title="Nothing is remembered of one of them">Records are gone when the rings of the proxies have turned.</Empty>

function Both({ a, b }: { a: Trace; b: Trace }) {
  const pairs = align(a.hops, b.hops)
  const [ends, endsB] = [endOf(a.hops), endOf(b.hops)]
  const total = Math.max(ends, endsB)
  const different = pairs.filter((p) => !p.a || !p.b || differences(p).length).length
  const [all, setAll] = useState(true)
  const shown = all ? pairs : pairs.filter((p) => !p.a || !p.b || differences(p).length)
  return (
    <div className="stack">
      <Stats label="Both">
        <One name="A" t={a} took={ends} />
        <One name="B" t={b} took={endsB} />
        <Stat name="Difference" value={<Delta a={ends} b={endsB} />} note={different ? `${plural(different, 'hop')} of ${pairs.length} differ` : 'no hop differs but in time'} />
      </Stats>
      <Unreached list={[...(a.unreached ?? []), ...(b.unreached ?? [])]} />
      <Panel
        title="Hop by hop"
        flush
        actions={
          <div className="chips">
            <button type="button" aria-pressed={!all} onClick={() => setAll(!all)}>
              only what differs
            </button>
          </div>
        }
      >
        <ol className="pairs">
          {shown.map((p, i) => (
            <Line key={`${p.a?.hop.spanID} ${p.b?.hop.spanID} ${i}`} pair={p} total={total} />
          ))}
        </ol>
      </Panel>
    </div>
  )
}

function One({ name, t, took }: { name: string; t: Trace; took: number }) {
  const root = t.hops[0]!
  const [tone, word] = outcome(root)
  return (
    <Stat name={name} value={latency(took)} note={<><Badge tone={tone}>{word}</Badge> <Ago at={root.start} /></>}>
      <span className="note">
        <Link to={to('traces', t.traceID)}>
          {root.method ?? root.protocol} {root.path}
        </Link>
      </span>
    </Stat>
  )
}

function Line({ pair, total }: { pair: Pair; total: number }) {
  const h = (pair.a ?? pair.b)!.hop
  const list = differences(pair)
  return (
    <li className={!pair.a || !pair.b ? 'only' : ''}>
      <div className="what" style={{ paddingLeft: h.depth * 14 }}>
        <HopName h={h} />
        {!pair.b && <span className="sub">only in A</span>}
        {!pair.a && <span className="sub">only in B</span>}
      </div>
      <div className="tracks">
        <Bar name="A" side={pair.a} total={total} />
        <Bar name="B" side={pair.b} total={total} />
      </div>
      <div className="by">{pair.a && pair.b ? <Delta a={pair.a.hop.duration} b={pair.b.hop.duration} /> : <span className="quiet">–</span>}</div>
      {list.length > 0 && <Differences list={list} />}
    </li>
  )
}

function Bar({ name, side, total }: { name: string; side?: Side; total: number }) {
  return (
    <div className="bar2">
      <span className="quiet">{name}</span>
      <span className="track" aria-hidden="true">
        {side && <span className={`span ${side.hop.failed ? 'bad' : name === 'B' ? 'second' : ''}`} style={{ left: `${(side.begin / total) * 100}%`, width: `${(side.hop.duration / total) * 100}%` }} />}
      </span>
      <span className="time">{side ? latency(side.hop.duration) : '–'}</span>
    </div>
  )
}

/** Delta is how much longer or shorter B took, which counts from a fifth and a millisecond on. */
function Delta({ a, b }: { a: number; b: number }) {
  const by = b - a
  const counts = Math.abs(by) >= 1e6 && Math.abs(by) >= a * 0.2
  return <span className={!counts ? 'quiet' : by > 0 ? 'tone-bad' : 'tone-good'}>{by === 0 ? 'the same' : `${by > 0 ? '+' : '−'}${latency(Math.abs(by))}`}</span>
}

function Differences({ list }: { list: Difference[] }) {
  return (
    <dl className="differences">
      {list.map((d) => (
        <div key={d.name} className={d.grave ? 'grave' : ''}>
          <dt>{d.name}</dt>
          <dd>
            <span className="hidden">A: </span>
            {d.a || 'none'} <span aria-hidden="true">→</span> <span className="hidden">B: </span>
            <b>{d.b || 'none'}</b>
          </dd>
        </div>
      ))}
    </dl>
  )
}
