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
