import { ReactFlowProvider } from '@xyflow/react'
import { type KeyboardEvent, useEffect, useMemo, useRef } from 'react'
import type { SignalsEdge as GraphEdge, SignalsGraph as Answer, SignalsNode as GraphNode } from '../api/schema.gen'
import { useGraph } from '../api/signals'
import { bytes, latency, percent, plural, rate } from '../lib/format'
import { fold, namespaceOf } from '../lib/fold'
import { labelOf, nodeLink } from '../lib/nodes'
import { Link, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Badge } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Canvas } from './canvas'
import { Beside } from './graphnode'

// A graph with more services than these begins with one node for each namespace.
const many = 80

const windows = { '1m': 'last minute', '5m': 'last 5 minutes', '15m': 'last 15 minutes', '1h': 'last hour', '6h': 'last 6 hours' }

export function Graph() {
  const [window, setWindow] = useParameter('window')
  const graph = useGraph(window || '5m')
  return (
    <Page
      title="Graph"
      about="Who calls whom, as the proxies on both sides have seen it."
      actions={
        <label className="inline">
          <span className="hidden">Time</span>
          <select value={window || '5m'} onChange={(e) => setWindow(e.target.value === '5m' ? '' : e.target.value)}>
            {Object.entries(windows).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
      }
    >
      <Shown of={graph} what="service graph">
        {(g) => (g.edges?.length ? <Drawn g={g} /> : <Panel title="Graph"><Empty title="Nothing has passed in this time">Send a request, or look at a longer time.</Empty></Panel>)}
      </Shown>
    </Page>
  )
}

function Drawn({ g }: { g: Answer }) {
  const [text, setText] = useParameter('q')
  const [chosen, setChosen] = useParameter('node')
  const [open, setOpen] = useParameter('open')
  const large = (g.nodes?.length ?? 0) > many
  const needle = text.toLowerCase()
  const { nodes, edges } = useMemo(() => {
    if (!large || open === '*') return fold(g, () => true)
    const hits = needle ? new Set((g.nodes ?? []).filter((n) => labelOf(n).toLowerCase().includes(needle)).slice(0, many).map((n) => n.namespace)) : undefined
    return fold(g, (namespace) => namespace === open || (hits?.has(namespace) ?? false))
  }, [g, large, open, needle])
  const hit = (n: GraphNode) => `${labelOf(n)} ${n.namespace ?? ''} ${n.kind}`.toLowerCase().includes(needle)
  const byID = new Map(nodes.map((n) => [n.id, n]))
  const all = new Map((g.nodes ?? []).map((n) => [n.id, n]))
  // What is searched for stands out together with whom it speaks with.
  const lit = needle || chosen ? new Set(edges.flatMap((e) => ([e.source, e.destination].some((id) => (chosen ? id === chosen : byID.has(id) && hit(byID.get(id)!))) ? [e.source, e.destination] : []))) : undefined
  const one = chosen ? byID.get(chosen) : undefined
  const filters = useSlash()
  // Enter goes from one that was found to the next.
  const find = (e: KeyboardEvent) => {
    if (e.key !== 'Enter' || !needle || !(e.target instanceof HTMLInputElement)) return
    const found = nodes.filter(hit).map((n) => n.id)
    if (found.length) setChosen(found[(found.indexOf(chosen) + 1) % found.length]!)
  }
  return (
    <div className="stack">
      <div className="filters" ref={filters} onKeyDown={find}>
        <Search value={text} set={setText} label="Service or namespace" />
        <span className="quiet" role="status">
          {plural(g.nodes?.length ?? 0, 'node')}, {plural(g.edges?.length ?? 0, 'edge')}
          {g.state.folded > 0 && `, ${plural(g.state.folded, 'edge')} folded into one as memory was full`}
          {(g.unreached ?? []).map((u) => `, without what the proxies of ${u.control} report: ${u.why}`)}
        </span>
        {large && (
          <div className="chips" role="group" aria-label="Namespaces">
            <button type="button" aria-pressed={!open} onClick={() => setOpen('')}>
              namespaces
            </button>
            {open && open !== '*' && (
              <button type="button" aria-pressed="true" onClick={() => setOpen('')}>
                {open}
              </button>
            )}
            <button type="button" aria-pressed={open === '*'} onClick={() => setOpen('*')}>
              every service
            </button>
          </div>
        )}
      </div>
      <div className="columns">
        <div className={one ? 'span-8' : 'span-12'}>
          <Panel title="Calls" note="the lock is mutual TLS; a dashed line has none" flush>
            <ReactFlowProvider>
              <Canvas key={open} nodes={nodes} edges={edges} lit={lit} chosen={chosen} view={`${open} ${needle && large ? nodes.length : ''}`} choose={(id) => (namespaceOf(id) === undefined ? setChosen(id === chosen ? '' : id) : setOpen(namespaceOf(id)!))} />
            </ReactFlowProvider>
          </Panel>
        </div>
        {one && (
          <div className="span-4">
            <Beside n={one} edges={edges} byID={byID} close={() => setChosen('')} />
          </div>
        )}
      </div>
      <Panel title="As a list" note={plural(g.edges?.length ?? 0, 'edge')} flush>
        <Table label="Edges" columns={listColumns(all)} rows={needle ? (g.edges ?? []).filter((e) => [e.source, e.destination].some((id) => all.has(id) && hit(all.get(id)!))) : (g.edges ?? [])} rowKey={(e) => `${e.id} ${e.protocol}`} first="-Requests/s" most={50} empty={<Empty title="Nothing matches">Search for less.</Empty>} />
      </Panel>
    </div>
  )
}

/** useSlash puts the cursor into the search when somebody types a slash. */
function useSlash() {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const listen = (e: globalThis.KeyboardEvent) => {
      if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '')) return
      e.preventDefault()
      box.current?.querySelector('input')?.focus()
    }
    window.addEventListener('keydown', listen)
    return () => window.removeEventListener('keydown', listen)
  }, [])
  return box
}

function listColumns(byID: Map<string, GraphNode>): Column<GraphEdge>[] {
  const name = (id: string) => (byID.has(id) ? labelOf(byID.get(id)!) : id)
  const linked = (id: string) => {
    const path = byID.has(id) ? nodeLink(byID.get(id)!) : undefined
    return path ? <Link to={path}>{name(id)}</Link> : name(id)
  }
  return [
    { name: 'From', by: (e) => name(e.source), of: (e) => linked(e.source) },
    { name: 'To', by: (e) => name(e.destination), of: (e) => linked(e.destination) },
    { name: 'Protocol', minor: true, by: (e) => e.protocol, of: (e) => e.protocol },
    { name: 'Mutual TLS', minor: true, by: (e) => e.mutualTLS, of: (e) => <Badge tone={e.mutualTLS > 0.999 ? 'good' : e.mutualTLS > 0 ? 'warn' : 'muted'}>{e.mutualTLS > 0.999 ? 'yes' : e.mutualTLS > 0 ? percent(e.mutualTLS) : 'no'}</Badge> },
    { name: 'Requests/s', number: true, by: (e) => e.requests, of: (e) => rate(e.requests) },
    { name: 'Errors', number: true, by: (e) => e.errors, of: (e) => <span className={e.errors > 0.01 ? 'tone-bad' : 'quiet'}>{percent(e.errors)}</span> },
    { name: 'p50', number: true, minor: true, by: (e) => e.p50, of: (e) => latency(e.p50) },
    { name: 'p99', number: true, by: (e) => e.p99, of: (e) => latency(e.p99) },
    { name: 'Bytes/s', number: true, minor: true, by: (e) => e.requestBytes + e.responseBytes, of: (e) => bytes(e.requestBytes + e.responseBytes) },
  ]
}
