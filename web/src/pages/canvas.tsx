import { Background, BaseEdge, Controls, type Edge, EdgeLabelRenderer, type EdgeProps, Handle, MarkerType, type Node, type NodeProps, Position, ReactFlow, useReactFlow, useStore } from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import { type KeyboardEvent, memo, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { SignalsNode as GraphNode } from '../api/schema.gen'
import type { FoldedEdge, FoldedNode } from '../lib/fold'
import { latency, percent, plural, rate } from '../lib/format'
import { labels } from '../lib/labels'
import { bands, join, layout, size, type Spot, type Spots, type Vertex } from '../lib/layers'
import { labelOf, toneOf } from '../lib/nodes'
import { forget, remember, remembered } from '../lib/places'
import { useDark } from '../lib/theme'
import { step } from '../lib/walk'
import { pathOf, type Wire, wires } from '../lib/wires'
import { Icon } from '../ui/icon'
import { Tip } from './graphtip'

type Service = Node<{ n: FoldedNode; dim: boolean; chosen: boolean; choose: (id: string) => void }, 'service'>
type Space = Node<{ name: string }, 'space'>
type Call = Edge<{ e: FoldedEdge; wire: Wire; dim: boolean; label?: Spot }, 'call'>

const ServiceNode = memo(({ data: { n, dim, chosen, choose } }: NodeProps<Service>) => {
  const t = n.in.count ? n.in : n.out
  return (
    <button type="button" data-id={n.id} className={`node ${toneOf(t)} ${dim ? 'dim' : ''} ${chosen ? 'chosen' : ''}`} style={size} onClick={() => choose(n.id)} aria-pressed={chosen}>
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

/** saidOf is what a label says: rate, errors if there are any, p99. */
const saidOf = (e: FoldedEdge): string => [`${rate(e.requests)}/s`, e.errors >= 0.001 ? percent(e.errors) : '', e.p99 ? latency(e.p99) : ''].filter(Boolean).join(' ')

// In steps, so that a digit more does not move a label.
const widthOf = (e: FoldedEdge): number => Math.ceil((saidOf(e).length * 6 + 26) / 20) * 20

const CallEdge = memo(({ data, markerEnd }: EdgeProps<Call>) => {
  const { e, wire, dim, label } = data!
  const tone = toneOf(e)
  return (
    <>
      <BaseEdge path={pathOf(wire)} markerEnd={markerEnd} interactionWidth={14} className={`call ${tone} ${dim ? 'dim' : ''} ${e.mutualTLS < 0.999 ? 'plain' : ''}`} style={{ strokeWidth: 1.2 + Math.min(4, Math.log10(1 + e.requests)) }} />
      {label && (
        <EdgeLabelRenderer>
          <span className={`calllabel ${tone}`} style={{ transform: `translate(-50%, -50%) translate(${label.x}px, ${label.y}px)` }}>
            {e.mutualTLS > 0.999 && <Icon name="lock" size={10} />}
            {rate(e.requests)}/s {e.errors >= 0.001 && <b className={e.errors >= 0.01 ? `tone-${tone}` : ''}>{percent(e.errors)}</b>} {e.p99 ? latency(e.p99) : ''}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  )
})

const markerEnd = { type: MarkerType.ArrowClosed, width: 13, height: 13, markerUnits: 'userSpaceOnUse' }
const nodeTypes = { service: ServiceNode, space: SpaceNode }
const edgeTypes = { call: CallEdge }
const fit = { padding: 0.05, maxZoom: 1 }
// Smaller than this nothing can be read, so that a narrow screen begins at the left.
const leastZoom = 0.5

interface CanvasProps {
  nodes: FoldedNode[]
  edges: FoldedEdge[]
  /** view names what is folded: each has places of its own. */
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

export function Canvas({ nodes, edges, view, lit, chosen, choose }: CanvasProps) {
  const dark = useDark()
  const flow = useReactFlow()
  const box = useRef<HTMLDivElement>(null)
  const [turn, setTurn] = useState(0)
  const [pointed, setPointed] = useState<string>()
  const vertices = useMemo(() => nodes.map((n): Vertex => ({ id: n.id, band: bandOf(n) })), [nodes])
  const spots = useMemo(() => placesOf(view, vertices, edges), [view, vertices, edges, turn])
  const here = useMemo(() => new Map(vertices.map((v) => [v.id, spots.get(v.id)!])), [vertices, spots, turn])
  const ways = useMemo(() => wires(edges, here), [edges, here])
  const isLit = (e: FoldedEdge) => !lit || (lit.has(e.source) && lit.has(e.destination) && (chosen === '' || e.source === chosen || e.destination === chosen))
  const litKey = lit ? `${chosen} ${[...lit].join()}` : ''
  const said = useMemo(() => labels(edges.filter(isLit).map((e) => ({ id: e.id, width: widthOf(e) })), ways, here), [edges, ways, here, litKey])
  const small = useStore((s) => s.transform[2] < leastZoom)

  const show = () => {
    const bounds = flow.getNodesBounds([...here.keys()])
    const frame = box.current
    if (!frame || !bounds.width) return
    const zoom = Math.min(1, (frame.clientWidth / bounds.width) * 0.94)
    if (frame.clientWidth > 700 || zoom >= leastZoom) void flow.fitView(fit)
    else void flow.setViewport({ x: 12 - bounds.x * leastZoom, y: frame.clientHeight / 2 - (bounds.y + bounds.height / 2) * leastZoom, zoom: leastZoom })
  }
  const beside = chosen !== ''
  useEffect(() => {
    // The canvas has another width only after it was drawn.
    const later = setTimeout(show, 120)
    return () => clearTimeout(later)
  }, [beside, view, flow])

  // What is chosen changes with each render; nodes are drawn anew only if they have changed.
  const choice = useRef(choose)
  choice.current = choose
  const pick = useCallback((id: string) => choice.current(id), [])
  const drawn = useMemo(
    (): (Service | Space)[] => [
      ...bands(vertices, spots).map((b): Space => ({ id: `space ${b.name}`, type: 'space', position: { x: b.x, y: b.y }, width: b.width, height: b.height, data: { name: b.name }, draggable: false, selectable: false, zIndex: -1 })),
      ...nodes.map((n): Service => ({ id: n.id, type: 'service', position: here.get(n.id)!, data: { n, dim: lit ? !lit.has(n.id) : false, chosen: n.id === chosen, choose: pick } })),
    ],
    [vertices, nodes, spots, here, litKey, chosen, pick],
  )
  const calls = useMemo(
    () =>
      edges.flatMap((e): Call[] => {
        const wire = ways.get(e.id)
        if (!wire) return []
        const shown = isLit(e)
        return [{ id: e.id, type: 'call', source: e.source, target: e.destination, data: { e, wire, dim: !shown, label: shown && !small ? said.get(e.id) : undefined }, markerEnd }]
      }),
    [edges, ways, said, litKey, small],
  )

  const walk = (e: KeyboardEvent) => {
    const from = (e.target as HTMLElement).closest<HTMLElement>('.node')?.dataset.id
    if (e.key === 'Escape' && chosen) choose(chosen)
    const next = from && step(from, e.key, here, edges)
    if (!next) return
    e.preventDefault()
    focus(next)
  }
  const focus = (id: string) => {
    const at = here.get(id)!
    void flow.setCenter(at.x + size.width / 2, at.y + size.height / 2, { zoom: Math.max(flow.getZoom(), leastZoom) })
    // What was out of sight is drawn first.
    requestAnimationFrame(() => requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`.node[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true })))
  }

  const tip = edges.find((e) => e.id === pointed)
  return (
    <div className="canvas" ref={box} onKeyDown={walk} role="group" aria-label="Services; arrow keys go from one to the next, Enter chooses">
      <ReactFlow
        nodes={drawn}
        edges={calls}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        colorMode={dark ? 'dark' : 'light'}
        onInit={show}
        minZoom={0.05}
        maxZoom={1.6}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        onlyRenderVisibleElements={nodes.length > 150}
        preventScrolling={false}
        disableKeyboardA11y
        proOptions={{ hideAttribution: true }}
        onEdgeMouseEnter={(_, e) => setPointed(e.id)}
        onEdgeMouseLeave={() => setPointed(undefined)}
        onNodesChange={(changes) => {
          const moved = changes.filter((c) => c.type === 'position' && c.position)
          for (const c of moved) if (c.type === 'position' && c.position) spots.set(c.id, c.position)
          if (!moved.length) return
          remember(view, spots)
          setTurn((n) => n + 1)
        }}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
      {tip && <Tip e={tip} name={(id) => labelOf(nodes.find((n) => n.id === id) ?? { id, kind: '' })} />}
      <button
        type="button"
        className="button anew"
        onClick={() => {
          forget(view)
          setTurn((n) => n + 1)
          requestAnimationFrame(show)
        }}
      >
        Lay out anew
      </button>
    </div>
  )
}

/** placesOf is where everything stands: where it stood before, and only what is new is placed. */
function placesOf(view: string, vertices: Vertex[], edges: FoldedEdge[]): Spots {
  const old = remembered(view)
  if (!old || !vertices.some((v) => old.has(v.id))) {
    const spots = layout(vertices, edges)
    remember(view, spots)
    return spots
  }
  if (join(vertices, edges, old)) remember(view, old)
  return old
}
