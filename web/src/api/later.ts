// What is asked of endpoints that not every process has.

export interface Traffic {
  count: number
  requests: number
  errors: number
  p50: number
  p95: number
  p99: number
  requestBytes: number
  responseBytes: number
}

export interface GraphNode {
  id: string
  kind: string
  namespace?: string
  name?: string
  trustDomain?: string
  in: Traffic
  out: Traffic
  open: number
  proxies: number
}

export interface GraphEdge extends Traffic {
  id: string
  source: string
  destination: string
  protocol: string
  mutualTLS: number
  open: number
  reportedBy: string[] | null
  routes?: { route: string; requests: number; errors: number }[] | null
  lastSeen: string
}

export interface Graph {
  from: string
  to: string
  nodes: GraphNode[] | null
  edges: GraphEdge[] | null
  state: { proxies: number; edges: number; memoryBytes: number; memoryLimitBytes: number; folded: number; since: string }
  unreached?: { control: string; why: string; since: string }[] | null
}

export interface Series {
  of: string
  stepSeconds: number
  points: ({ at: string } & Traffic)[] | null
}

export interface TraceSummary {
  traceID: string
  requestID?: string
  start: string
  duration: number
  method?: string
  host?: string
  path?: string
  protocol?: string
  status?: number
  grpcStatus?: string
  reason?: string
  route?: string
  proxy?: string
  services?: string[] | null
  records: number
  tries: number
  sampled?: boolean
  slow?: boolean
  failed?: boolean
  denied?: boolean
}

export interface Unreached {
  proxy: string
  why: string
}

export interface TraceList {
  traces: TraceSummary[] | null
  unreached?: Unreached[] | null
}

interface TracePlace {
  file?: string
  line?: number
  column?: number
}

export interface TraceTry {
  number: number
  kind: string
  endpoint?: string
  start: number
  connected?: number
  head?: number
  end: number
  status?: number
  reason?: string
}

export interface Hop {
  depth: number
  through?: number
  proxy?: string
  traceID: string
  spanID: string
  slow?: boolean
  failed?: boolean
  denied?: boolean
  side: string
  start: string
  duration: number
  requestID?: string
  method?: string
  host?: string
  path?: string
  protocol?: string
  status?: number
  grpcStatus?: string
  flags?: string
  reason?: string
  detail?: string
  of?: string
  rule?: string
  place?: TracePlace
  route?: string
  cluster?: string
  endpoint?: string
  endpointIdentity?: string
  peerIdentity?: string
  client?: string
  consumer?: string
  authMethod?: string
  requestBytes: number
  responseBytes: number
  revision?: number
  tries?: TraceTry[] | null
  decisions?: { verdict: string; kind?: string; policy: string; rule?: string; place?: TracePlace }[] | null
}

export interface Trace {
  traceID: string
  hops: Hop[] | null
  unreached?: Unreached[] | null
}

export interface Passing {
  type: string
  proxy?: string
  time: string
  direction?: string
  protocol?: string
  requestId?: string
  traceId?: string
  method?: string
  host?: string
  path?: string
  query?: string
  status?: number
  grpc?: { service?: string; method?: string; status?: string }
  durationMs: number
  source: { service?: string; address?: string }
  destination: { service?: string; address?: string }
  reason?: string
  failed?: boolean
  limited?: number
  lost?: number
  why?: string
}
