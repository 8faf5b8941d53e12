// Answers of the admin API that are made up: a mesh larger than a test can run.

const traffic = (requests, errors, p99) => ({ count: Math.round(requests * 300), requests, errors, p50: p99 / 4, p95: p99 / 2, p99, requestBytes: requests * 90, responseBytes: requests * 1400, classes: [0, 0, requests, 0, 0, 0] })

/** mesh has n services in namespaces of 25, each called by one before it. */
export function mesh(n) {
  const at = new Date().toISOString()
  const nodes = [
    { id: 'internet', kind: 'internet', in: traffic(0, 0, 0), out: traffic(900, 0.001, 9e7), open: 12, proxies: 0 },
    { id: 'default/edge', kind: 'edge', namespace: 'default', name: 'edge', in: traffic(900, 0.001, 9e7), out: traffic(900, 0.001, 8e7), open: 12, proxies: 2 },
  ]
  const edges = [edge('internet', 'default/edge', 900, 0.001, 0)]
  for (let i = 0; i < n; i++) {
    const namespace = `team-${String(Math.floor(i / 25)).padStart(2, '0')}`
    const id = `${namespace}/service-${i}`
    const errors = i % 37 === 5 ? 0.08 : 0
    const caller = i % 25 === 0 ? 'default/edge' : nodes[2 + Math.floor(i / 25) * 25 + Math.floor((i % 25) / 3)].id
    nodes.push({ id, kind: 'service', namespace, name: `service-${i}`, in: traffic(3 + (i % 11), errors, (5 + (i % 60)) * 1e6), out: traffic(1, 0, 1e6), open: i % 3, proxies: 2 })
    if (caller !== id) edges.push(edge(caller, id, 3 + (i % 11), errors, 1))
    // A call into another namespace, and some back.
    if (i % 9 === 4) edges.push(edge(id, nodes[2 + ((i * 7) % Math.max(1, i))].id, 0.5, 0, 1))
  }
  function edge(source, destination, requests, errors, mutualTLS) {
    return { id: `${source}>${destination}`, source, destination, protocol: 'HTTP', mutualTLS, open: 0, reportedBy: ['client', 'server'], lastSeen: at, ...traffic(requests, errors, 2e7) }
  }
  return { from: at, to: at, resolutionSeconds: 10, nodes, edges, state: { proxies: 2 * n, edges: edges.length, memoryBytes: 1e6, memoryLimitBytes: 1e8, folded: 0, since: at } }
}

/** answer has the page get a value in place of what the process says. */
export const answer = (page, path, value) => page.route(`**${path}`, (route) => route.fulfill({ json: value }))

/** hop is the record of one proxy. */
const hop = (depth, side, of, begin, duration, more = {}) => ({
  depth, side, of, traceID: '0af7651916cd43dd8448eb211c80319c', spanID: `00f067aa0ba9${String(begin).padStart(4, '0')}`, start: `2026-11-22T18:00:00.${String(begin * 1e6).padStart(9, '0')}Z`, duration: duration * 1e6,
  method: 'POST', host: 'shop.example', path: '/api/orders', protocol: 'HTTP/2', status: 201, requestBytes: 22, responseBytes: 188, ...more,
})

/** trace is one of an order whose payment was tried twice. */
export const trace = {
  traceID: '0af7651916cd43dd8448eb211c80319c',
  hops: [
    hop(0, 'edge', 'Gateway/default/edge', 0, 70, { requestID: 'a-request', route: 'HTTPRoute/default/checkout', rule: 'HTTPRoute/default/checkout/rules/1', place: { file: '/shop/shop.yaml', line: 199 }, cluster: 'Service/default/orders:80~12', endpoint: '10.0.0.2:15008', consumer: 'default/acme', authMethod: 'apiKey', decisions: [{ verdict: 'allowed', kind: 'AuthorizationPolicy', policy: 'default/partners', rule: 'dealers', place: { file: '/shop/shop.yaml', line: 105 } }] }),
    hop(1, 'inbound', 'Service/default/orders', 2, 66),
    hop(2, 'outbound', 'Service/default/payments', 20, 40, { tries: [{ number: 1, kind: 'first', endpoint: '10.0.0.3:15008', start: 0, connected: 1e6, end: 12e6, status: 503, reason: 'UpstreamStatus' }, { number: 2, kind: 'retry', endpoint: '10.0.0.4:15008', start: 20e6, head: 39e6, end: 40e6, status: 201 }] }),
    hop(3, 'inbound', 'Service/default/payments', 21, 10, { status: 503, failed: true, reason: 'FaultAbort' }),
  ],
  unreached: [{ proxy: 'default/cart/10.0.0.9', why: 'it did not answer in time' }],
}

/** passing is what a tap says, in lines. */
export const passing = [
  { type: 'exchange', time: '2026-11-22T18:00:00.1Z', method: 'GET', path: '/products', query: 'q=*', status: 200, durationMs: 12.5, source: { service: 'edge' }, destination: { service: 'catalog' }, traceId: trace.traceID },
  { type: 'exchange', time: '2026-11-22T18:00:00.2Z', method: 'GET', path: '/products/x', status: 503, reason: 'BreakerOpen', failed: true, durationMs: 0.2, source: { service: 'edge' }, destination: {} },
  { type: 'left-out', time: '2026-11-22T18:00:00.3Z', durationMs: 0, source: {}, destination: {}, limited: 4, lost: 1 },
].map((e) => JSON.stringify(e) + '\n').join('')
