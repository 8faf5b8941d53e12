import { Background, Controls, type Edge, type EdgeProps, EdgeLabelRenderer, BaseEdge, getBezierPath, Handle, MarkerType, type Node, type NodeProps, Position, ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import { memo, useEffect, useMemo, useState } from 'react'
import type { Graph as Answer, GraphEdge, GraphNode, Traffic } from '../api/later'
import { useGraph } from '../api/signals'
import { bytes, latency, percent, plural, rate } from '../lib/format'
import { fold, type Folded, namespaceOf } from '../lib/fold'
import { join, type Layout, layout } from '../lib/layers'
import { to, Link, useParameter } from '../lib/router'
import { useDark } from '../lib/theme'
import { Page } from '../shell'
import { Badge, type Tone } from '../ui/badge'
import { Panel } from '../ui/panel'
import { Icon } from '../ui/icon'
import { Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Beside } from './graphnode'

// What stands, stays: also while another page is looked at.
const kept = new Map<string, Layout>()

// A graph with more services than these begins with one node for each namespace.
const many = 80

export const labelOf = (n: Pick<GraphNode, 'id' | 'kind' | 'name'>): string => {
  switch (n.kind) {
    case 'internet':
      return 'Clients'
    case 'unknown':
      return 'Without identity'
    case 'other':
      return 'All others'
  }
  return n.name || n.id.replace(/^\w+:/, '')
}

export const toneOf = (t: Traffic): Tone => (t.count === 0 ? 'muted' : t.errors >= 0.05 ? 'bad' : t.errors >= 0.01 ? 'warn' : 'good')

export const serviceLink = (n: GraphNode): string | undefined => (n.kind === 'service' && !n.trustDomain ? to('services', `Service/${n.namespace}/${n.name}`) : n.kind === 'backend' ? to('services', `Backend/${n.namespace}/${n.name}`) : undefined)

type Service = Node<{ n: Folded['nodes'][number]; dim: boolean; chosen: boolean; choose: (id: string) => void }, 'service'>
type Space = Node<{ name: string }, 'space'>
type Call = Edge<{ e: GraphEdge; dim: boolean; label: boolean }, 'call'>

const ServiceNode = memo(({ data: { n, dim, chosen, choose } }: NodeProps<Service>) => {
  const t = n.in.count ? n.in : n.out
  return (
    <button type="button" className={`node ${toneOf(t)} ${dim ? 'dim' : ''} ${chosen ? 'chosen' : ''}`} onClick={() => choose(n.id)} aria-pressed={chosen}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <b>{labelOf(n)}</b>
      <span className="quiet">
        {rate(t.requests)} /s{t.p99 ? `, p99 ${latency(t.p99)}` : ''}
      </span>
      <span className={t.errors >= 0.01 ? 'tone-bad' : 'quiet'}>{n.kind === 'namespace' ? plural(n.services ?? 0, 'service') + (t.errors >= 0.01 ? `, ${percent(t.errors)} errors` : '') : t.errors ? `${percent(t.errors)} errors` : n.kind === 'service' ? plural(n.proxies, 'proxy', 'proxies') : n.kind}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </button>
  )
})

const SpaceNode = memo(({ data }: NodeProps<Space>) => <div className="space">{data.name}</div>)

const CallEdge = memo(({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, data, markerEnd }: EdgeProps<Call>) => {
  const { e, dim, label } = data!
  const [path, x, y] = getBezierPath({ sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition, curvature: 0.3 })
  const tone = toneOf(e)
  return (
    <>
      <BaseEdge path={path} markerEnd={markerEnd} className={`call ${tone} ${dim ? 'dim' : ''} ${e.mutualTLS < 0.999 ? 'plain' : ''}`} style={{ strokeWidth: 1.2 + Math.min(4, Math.log10(1 + e.requests)) }} />
      {label && !dim && (
        <EdgeLabelRenderer>
          <span className={`calllabel ${tone}`} style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
            {e.mutualTLS > 0.999 && <Icon name="lock" size={10} />}
            {rate(e.requests)}/s
            {e.errors >= 0.01 && <b className="tone-bad"> {percent(e.errors)}</b>}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  )
})

const fit = { padding: 0.06, maxZoom: 1 }
const nodeTypes = { service: ServiceNode, space: SpaceNode }
const edgeTypes = { call: CallEdge }
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
  return (
    <div className="stack">
      <div className="filters">
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

interface CanvasProps {
  nodes: Folded['nodes']
  edges: GraphEdge[]
  /** view names what is folded: each has a layout of its own. */
  view: string
  lit?: Set<string>
  chosen: string
  choose: (id: string) => void
}

// Names with a space before them have no frame.
function bandOf(n: GraphNode): string {
  switch (n.kind) {
    case 'service':
    case 'backend':
    case 'edge':
    case 'gateway':
      return n.trustDomain ? `${n.trustDomain} ${n.namespace}` : (n.namespace ?? '')
    case 'namespace':
      return ' namespaces'
    case 'external':
      return ' outside'
  }
  return ' clients'
}

function Canvas({ nodes, edges, view, lit, chosen, choose }: CanvasProps) {
  const dark = useDark()
  const flow = useReactFlow()
  const [, setTurn] = useState(0)
  const vertices = useMemo(() => nodes.map((n) => ({ id: n.id, band: bandOf(n) })), [nodes])
  const anew = () => {
    const l = layout(vertices, edges)
    kept.set(view, l)
    return l
  }
  const stands = kept.get(view) ?? anew()
  join(vertices, stands.spots)
  const beside = chosen !== ''
  useEffect(() => {
    // The canvas has another width only after it was drawn.
    const later = setTimeout(() => void flow.fitView(fit), 120)
    return () => clearTimeout(later)
  }, [beside, view, flow])
  const drawn: (Service | Space)[] = [
    ...stands.bands.map((b): Space => ({ id: `space ${b.name}`, type: 'space', position: { x: b.x, y: b.y }, width: b.width, height: b.height, data: { name: b.name }, draggable: false, selectable: false, zIndex: -1 })),
    ...nodes.map((n): Service => ({ id: n.id, type: 'service', position: stands.spots.get(n.id)!, data: { n, dim: lit ? !lit.has(n.id) : false, chosen: n.id === chosen, choose } })),
  ]
  const few = edges.length <= 40
  const calls: Call[] = edges.map((e) => {
    const dim = lit ? !(lit.has(e.source) && lit.has(e.destination)) || (chosen !== '' && e.source !== chosen && e.destination !== chosen) : false
    return { id: `${e.id} ${e.protocol}`, type: 'call', source: e.source, target: e.destination, data: { e, dim, label: few || lit !== undefined }, markerEnd: { type: MarkerType.ArrowClosed, width: 13, height: 13, markerUnits: 'userSpaceOnUse' } }
  })
  return (
    <div className="canvas">
      <ReactFlow
        nodes={drawn}
        edges={calls}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        colorMode={dark ? 'dark' : 'light'}
        fitView
        fitViewOptions={fit}
        minZoom={0.05}
        maxZoom={1.6}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        onlyRenderVisibleElements={nodes.length > 150}
        preventScrolling={false}
        proOptions={{ hideAttribution: true }}
        onNodesChange={(changes) => {
          for (const c of changes) if (c.type === 'position' && c.position) stands.spots.set(c.id, c.position)
          if (changes.some((c) => c.type === 'position')) setTurn((n) => n + 1)
        }}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
      <button
        type="button"
        className="button anew"
        onClick={() => {
          anew()
          setTurn((n) => n + 1)
          requestAnimationFrame(() => void flow.fitView(fit))
        }}
      >
        Lay out anew
      </button>
    </div>
  )
}

function listColumns(byID: Map<string, GraphNode>): Column<GraphEdge>[] {
  const name = (id: string) => (byID.has(id) ? labelOf(byID.get(id)!) : id)
  const linked = (id: string) => {
    const path = byID.has(id) ? serviceLink(byID.get(id)!) : undefined
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
