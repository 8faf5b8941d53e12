// The console in Chromium, against a running demo: each page, wide and narrow, light and
// dark, by keyboard, and judged by axe. Screenshots of the guides come from here.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { answer, mesh, passing, trace } from './made.js'
import { axe, root, startBoth, until } from './gridway.js'

let demo
let browser

before(async () => {
  ;[demo, browser] = await startBoth()
}, { timeout: 240_000 })

after(async () => {
  await browser?.close()
  await demo?.close()
})

/** visit opens the console logged in; whatever goes wrong in the page fails the test. */
async function visit(t, { width = 1280, height = 860, colorScheme = 'light', at = '/' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' })
  t.after(() => context.close())
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (e) => page.problems.push(e.message))
  page.on('console', (m) => m.type() === 'error' && !/status of 4\d\d/.test(m.text()) && page.problems.push(m.text()))
  page.on('response', (r) => r.status() >= 400 && r.url().includes('/console/') && page.problems.push(`${r.url()}: ${r.status()}`))
  await page.goto(demo.link)
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  if (at !== '/') await go(page, at)
  return page
}

async function go(page, at) {
  await page.goto(`${demo.base}/console${at}`)
  await page.getByRole('heading', { level: 1 }).waitFor()
}

// A page is there when nothing of it is still loading.
const settled = (page) => until('nothing is loading', async () => (await page.locator('.loading').count()) === 0)

async function judge(page, what) {
  await settled(page)
  // axe adds itself by a way that the policy of the pages lets only tools take.
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
  assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(', ')}`), [], `axe, ${what}`)
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`)
  assert.deepEqual(page.problems, [], what)
}

const pages = {
  overview: { at: '/', see: ['Needs attention', 'inside', 'inventory', 'Busiest rules', 'What changed lately'] },
  routes: { at: '/routes', see: ['catalog', '/api/reviews'] },
  route: { at: '/routes/HTTPRoute%2Fdefault%2Freviews', see: ['canary', '90 %', 'ShieldPolicy', 'shop.yaml:'] },
  services: { at: '/services', see: ['catalog:80', '2 endpoints', 'PeakEWMA'] },
  service: { at: '/services/Service%2Fdefault%2Fcatalog', see: ['healthy', 'closed', 'Endpoints', 'Called by', 'default/catalog/'] },
  inside: { at: '/services/Service%2Fdefault%2Fpayments', see: ['1 workload', 'Called by', 'orders', 'default/payments/'] },
  configuration: { at: '/configuration', see: ['In service', 'HTTPRoute', 'shop.yaml:'] },
  object: { at: '/configuration/HTTPRoute/default/reviews', see: ['Conditions', 'apiVersion', 'proxies serve revision', 'ResolvedRefs'] },
  effective: { at: '/configuration/effective', see: ['listeners', 'clusters'] },
  mesh: { at: '/mesh', see: ['9 of 9', 'spiffe://cluster.local/ns/default/sa/orders', 'signs now', 'Nobody is denied'] },
  explain: { at: '/explain?url=' + encodeURIComponent('http://shop.example/api/reviews/lamp-01'), see: ['The request'] },
}

describe('each page', () => {
  for (const [name, { at, see }] of Object.entries(pages)) {
    for (const [width, colorScheme] of [[1280, 'light'], [390, 'dark']]) {
      test(`${name}, ${width} pixels, ${colorScheme}`, { timeout: 40_000 }, async (t) => {
        const page = await visit(t, { width, height: width < 500 ? 844 : 860, colorScheme, at })
        await settled(page)
        for (const text of see) await page.getByText(text).first().waitFor({ state: 'attached' })
        await judge(page, `${name} at ${width}`)
      })
    }
  }
})

test('a token is asked for, exchanged, and kept nowhere', { timeout: 60_000 }, async (t) => {
  const context = await browser.newContext()
  t.after(() => context.close())
  const page = await context.newPage()
  await page.goto(`${demo.base}/console/routes`)
  const token = page.getByLabel('Token')
  await token.waitFor()
  page.problems = []
  await judge(page, 'login')
  await token.fill('gridway_wrong')
  await token.press('Enter')
  await page.getByRole('alert').getByText('expired or was revoked').waitFor()
  await token.fill(demo.token)
  await token.press('Enter')
  await page.getByRole('heading', { name: 'Routes', level: 1 }).waitFor()

  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie)
  assert.ok(!kept.includes(demo.token) && !kept.includes('gridway-console'), kept)
  const [cookie] = await context.cookies()
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.value.includes(demo.token)], [true, 'Strict', false])
  // The cookie alone, which other ports of this host get too, opens nothing.
  const alone = await context.request.get(`${demo.base}/v1/status`)
  assert.equal(alone.status(), 401)

  await page.reload()
  await page.getByRole('heading', { name: 'Routes', level: 1 }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Token').waitFor()
  assert.equal((await context.cookies()).length, 0)
})

test('by keyboard alone', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
  await page.evaluate(() => document.body.focus())
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'To the content')
  const links = []
  for (let i = 0; i < 9; i++) {
    await page.keyboard.press('Tab')
    links.push(await focused())
  }
  assert.ok(links.includes('Services') && links.includes('Explain'), links.join())
  for (let i = 0; (await focused()) !== 'Services' && i < 12; i++) await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor()
  assert.equal(await page.title(), 'Services – Gridway')
  assert.equal(await focused(), 'Services', 'the heading has the focus')

  const sort = page.getByRole('button', { name: /^Tries/ })
  await sort.focus()
  await page.keyboard.press('Enter')
  assert.equal(await page.getByRole('columnheader', { name: /^Tries/ }).getAttribute('aria-sort'), 'descending')
  await page.keyboard.press('Enter')
  assert.equal(await page.getByRole('columnheader', { name: /^Tries/ }).getAttribute('aria-sort'), 'ascending')
})

test('the menu of small screens', { timeout: 40_000 }, async (t) => {
  const page = await visit(t, { width: 390, height: 844 })
  const mesh = page.getByRole('link', { name: 'Mesh', exact: true })
  assert.equal(await mesh.isVisible(), false)
  await page.getByRole('button', { name: 'Menu' }).click()
  await page.keyboard.press('Escape')
  await until('the menu is closed', async () => !(await mesh.isVisible()))
  await page.getByRole('button', { name: 'Menu' }).click()
  await mesh.click()
  await page.getByRole('heading', { name: 'Mesh', level: 1 }).waitFor()
  await until('the menu is closed', async () => !(await mesh.isVisible()))
})

test('colours are the system’s until others are chosen', { timeout: 40_000 }, async (t) => {
  const page = await visit(t, { colorScheme: 'dark' })
  const dark = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor === 'rgb(15, 19, 24)')
  assert.equal(await dark(), true)
  await page.getByRole('radio', { name: 'Light' }).check({ force: true })
  assert.equal(await dark(), false)
  await page.reload()
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  assert.equal(await dark(), false)
})

test('explain draws the path, and a link has the question', { timeout: 60_000 }, async (t) => {
  const page = await visit(t, { at: '/explain' })
  await page.getByLabel('URL').fill(`${demo.edge}/api/reviews/lamp-01`)
  await page.getByRole('button', { name: 'Explain' }).click()
  const path = page.locator('.path')
  await path.getByText('canary').waitFor()
  assert.match(await path.innerText(), /reviews:80[\s\S]*90 %[\s\S]*reviews-v2:80[\s\S]*10 %/)
  await page.getByLabel('Headers').fill('X-Canary: always')
  await page.getByRole('button', { name: 'Explain' }).click()
  await path.getByText('testers').waitFor()
  await page.reload()
  await path.getByText('testers').waitFor()

  await page.getByLabel('Headers').fill('')
  await page.getByLabel('URL').fill(`${demo.edge}/api/partner/products/lamp-01`)
  await page.getByRole('button', { name: 'Explain' }).click()
  await path.getByText('401 Unauthenticated').waitFor()
  await page.getByLabel('URL').fill('ftp://shop.example/')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByRole('alert').waitFor()
  assert.deepEqual(page.problems.filter((p) => !p.includes('422')), [])
})

test('explain follows a request between services', { timeout: 60_000 }, async (t) => {
  const page = await visit(t, { at: '/explain' })
  await page.getByLabel('From').fill('orders')
  await page.getByLabel('Method').selectOption('PUT')
  await page.getByLabel('URL').fill('http://inventory/stock/lamp-01/reserve')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByRole('heading', { name: 'At the proxy of orders' }).waitFor()
  const there = page.getByRole('region', { name: 'At default/inventory' })
  await there.getByText('default/inventory', { exact: true }).first().waitFor()
  await there.getByText(/by rule take/).waitFor()
  await judge(page, 'a passage')
  await page.reload() // the question is in the address
  await there.getByText(/by rule take/).waitFor()
  await page.getByLabel('From').fill('default/orders')
  await page.getByLabel('URL').fill('http://nowhere.example/')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('nowhere.example is no service of the mesh').waitFor()
  await page.setViewportSize({ width: 390, height: 844 })
  await judge(page, 'a passage to elsewhere, at 390')
})

test('telemetry sinks, and what they lose', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  const signal = (more) => ({ signal: 'traces', queued: 0, queueLimit: 1000, queuedBytes: 0, sent: 10, retries: 0, ...more })
  const sink = (name, state, ...signals) => ({ name: `default/${name}`, kind: 'otlp', address: 'otel.example:4317', state, signals })
  await answer(page, '/v1/status', {
    ...(await tell('/v1/status')),
    sinks: [sink('new', 'idle'), sink('good', 'up', signal()), { ...sink('gone', 'down', signal({ lost: { expired: 7 } })), error: 'connection refused' }, sink('slow', 'up', signal({ queued: 950 })), sink('picky', 'up', signal({ lost: { rejected: 3 } }))],
  })
  await go(page, '/configuration')
  const table = page.getByRole('region', { name: 'Telemetry sinks', exact: true })
  for (const text of ['7 expired', 'connection refused', '950 of 1,000', '3 rejected', 'nothing yet']) await table.getByText(text).first().waitFor()
  await judge(page, 'sinks')
  await go(page, '/')
  const more = page.getByRole('button', { name: /^\d+ more$/ })
  for (const name of ['Telemetry sink gone is down and loses what is for it', 'Telemetry sink slow is behind', 'Telemetry sink picky has lost records']) {
    await until(name, async () => {
      if (await more.isVisible()) await more.click().catch(() => {})
      return page.getByRole('link', { name }).isVisible()
    }, 30_000)
  }
  assert.equal(await page.getByRole('link', { name: /^Telemetry sink good/ }).count(), 0)
})

/** drawn is what stands where in the graph, and what lies over what it must not. */
const drawn = (page) =>
  page.evaluate(() => {
    const boxes = (selector) => [...document.querySelectorAll(selector)].map((e) => ({ name: e.dataset.id ?? e.textContent, ...e.getBoundingClientRect().toJSON() }))
    const meet = (a, b, by = 0.5) => a.left + by < b.right && b.left + by < a.right && a.top + by < b.bottom && b.top + by < a.bottom
    const pairs = (list) => list.flatMap((a, i) => list.slice(i + 1).filter((b) => meet(a, b)).map((b) => `${a.name} and ${b.name}`))
    const nodes = boxes('.node')
    const labels = boxes('.calllabel')
    const crossed = []
    for (const path of document.querySelectorAll('.react-flow__edge-path')) {
      const matrix = path.getScreenCTM()
      const points = Math.min(60, Math.ceil(path.getTotalLength() / 8))
      for (let i = 0; i <= points; i++) {
        const p = path.getPointAtLength((path.getTotalLength() * i) / points).matrixTransform(matrix)
        const over = nodes.find((n) => meet({ left: p.x, right: p.x, top: p.y, bottom: p.y }, n, 1.5 * matrix.a))
        if (over) crossed.push(`${path.closest('.react-flow__edge').dataset.id} over ${over.name}`)
      }
    }
    return {
      nodes: nodes.length, labels: labels.length, edges: document.querySelectorAll('.react-flow__edge-path').length,
      over: [...pairs(nodes), ...pairs(labels), ...pairs(boxes('.space')), ...labels.flatMap((l) => nodes.filter((n) => meet(l, n)).map((n) => `${l.name} on ${n.name}`)), ...new Set(crossed)],
      places: [...document.querySelectorAll('.react-flow__node-service')].map((n) => [n.dataset.id, n.style.transform]).sort(),
    }
  })

test('the graph of the demo', { timeout: 120_000 }, async (t) => {
  const page = await visit(t)
  await go(page, '/graph')
  const node = (name) => page.locator('.node').filter({ has: page.locator('b', { hasText: new RegExp(`^${name}$`) }) })
  for (const name of ['Clients', 'edge', 'catalog', 'orders', 'payments']) await node(name).waitFor({ timeout: 60_000 })
  await until('lines have their labels', async () => (await page.locator('.calllabel').count()) >= 8, 60_000)
  const first = await drawn(page)
  assert.deepEqual(first.over, [], 'nothing lies over anything')
  await page.locator('.calllabel', { hasText: /\d+\/s.* ms/ }).first().waitFor()
  await page.getByRole('region', { name: 'Edges' }).getByRole('cell', { name: 'yes' }).first().waitFor()
  await judge(page, 'graph')

  // The same places at the next visit.
  await page.reload()
  await node('payments').waitFor()
  const stands = new Map((await drawn(page)).places)
  assert.deepEqual(first.places.filter(([id, at]) => stands.get(id) !== at), [])

  // By keyboard: along the calls, and by search.
  const focused = () => page.evaluate(() => document.activeElement?.querySelector('b')?.textContent ?? '')
  await node('edge').focus()
  await page.keyboard.press('ArrowRight')
  await until('the focus is on somebody whom the edge calls', async () => ['catalog', 'orders', 'stock', 'live'].includes(await focused()))
  await page.keyboard.press('ArrowLeft')
  await until('the focus is on the edge again', async () => (await focused()) === 'edge')
  await page.keyboard.press('/')
  await page.keyboard.type('payments')
  await page.locator('.node:not(.dim)').filter({ hasText: 'payments' }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'payments', level: 2 }).waitFor()
  await page.getByRole('heading', { name: 'Called by' }).waitFor()
  await judge(page, 'graph with something chosen')
  await page.getByRole('link', { name: 'Open', exact: true }).click()
  await page.getByRole('heading', { name: /^payments/, level: 1 }).waitFor()
})

test('what is known of a line is told where one points', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  await answer(page, '/v1/graph?*', mesh(12))
  await go(page, '/graph')
  const path = page.locator('.react-flow__edge[data-id="internet>default/edge"] .react-flow__edge-interaction')
  await path.waitFor({ state: 'attached' })
  await path.dispatchEvent('mouseover')
  await page.locator('.tip', { hasText: 'no mutual TLS' }).waitFor()
})

test('a graph of 500 services', { timeout: 180_000 }, async (t) => {
  const page = await visit(t)
  const graph = mesh(500)
  await answer(page, '/v1/graph?*', graph)
  await go(page, '/graph')
  await page.locator('.node').filter({ hasText: 'team-19' }).waitFor()
  assert.deepEqual((await drawn(page)).over, [], 'namespaces')
  await judge(page, 'graph of namespaces')

  const began = Date.now()
  await page.getByRole('button', { name: 'every service' }).click()
  await page.locator('.node').filter({ hasText: 'service-475' }).waitFor({ timeout: 60_000 })
  await until('all stand', async () => (await page.locator('.node').count()) === 502, 60_000)
  t.diagnostic(`502 nodes and ${graph.edges.length} edges were drawn within ${Date.now() - began} ms`)
  const before = await drawn(page)
  assert.deepEqual(before.over, [], 'every service')

  // What stands, stays, while rates change, somebody is gone and somebody new comes.
  const one = graph.nodes.find((n) => n.name === 'service-30')
  const gone = graph.nodes.findIndex((n) => n.name === 'service-49')
  const [left] = graph.nodes.splice(gone, 1)
  graph.edges = graph.edges.filter((e) => e.source !== left.id && e.destination !== left.id)
  graph.nodes.push({ ...one, id: 'team-01/newcomer', name: 'newcomer' }, { ...one, id: 'new/caller', namespace: 'new', name: 'caller' })
  graph.edges.push({ ...graph.edges[5], id: `team-01/newcomer>${one.id}`, source: 'team-01/newcomer', destination: one.id }, { ...graph.edges[5], id: `new/caller>${one.id}`, source: 'new/caller', destination: one.id })
  await page.locator('.node').filter({ hasText: 'newcomer' }).waitFor({ timeout: 60_000, state: 'attached' })
  await page.getByRole('button', { name: /fit view/i }).click()
  await page.locator('.node').filter({ hasText: 'caller' }).waitFor({ timeout: 30_000 })
  const after = await drawn(page)
  assert.deepEqual(after.over, [], 'with newcomers')
  const stands = new Map(after.places)
  assert.deepEqual(before.places.filter(([id, at]) => id !== left.id && stands.get(id) !== at), [])

  await page.getByRole('button', { name: 'namespaces' }).click()
  await page.getByRole('searchbox').fill('service-7')
  await page.locator('.node:not(.dim)').filter({ hasText: 'service-7' }).first().waitFor()
  await page.getByRole('region', { name: 'Edges' }).getByRole('link', { name: 'service-7', exact: true }).first().waitFor()
  await judge(page, 'a search in the graph')
})

/** tell asks the admin API of the demo. */
async function tell(path) {
  const reply = await fetch(demo.base + path, { headers: { Authorization: `Bearer ${demo.token}` } })
  return reply.ok ? reply.json() : undefined
}

/** anOrder waits until an order is remembered with those who have worked on it, and another one to compare it with. */
async function anOrder() {
  let found
  await until('orders are remembered', async () => {
    const orders = ((await tell('/v1/traces?limit=500&route=checkout'))?.traces ?? []).filter((t) => t.path === '/api/orders')
    if (orders.length < 2) return false
    for (const o of orders.slice(0, 10)) {
      const hops = (await tell(`/v1/traces/${o.traceID}`))?.hops ?? []
      if (['edge', 'Service/default/orders', 'Service/default/cart'].every((of) => hops.some((h) => h.side === of || h.of === of))) found = o
      if (found) return true
    }
    return false
  }, 120_000)
  return found
}

for (const width of [1280, 390]) {
  test(`traces of the demo, ${width} pixels`, { timeout: 240_000 }, async (t) => {
    const page = await visit(t, { width, colorScheme: width === 390 ? 'dark' : 'light' })
    const order = await anOrder()
    await go(page, '/traces?route=checkout&q=%2Fapi%2Forders')
    await page.getByRole('link', { name: 'POST /api/orders' }).first().waitFor()
    await judge(page, 'traces')

    // One, hop by hop.
    await go(page, `/traces/${order.traceID}`)
    await page.getByRole('heading', { name: 'POST /api/orders', level: 1 }).waitFor()
    for (const what of [/at the edge/, /into orders/, /out to cart/, /into cart/]) await page.getByRole('button', { name: what }).first().waitFor()
    await page.getByText('checkout').first().waitFor()
    await page.getByText(/shop\.yaml:\d+/).first().waitFor()
    await judge(page, 'a trace')

    // Two, beside each other.
    await page.getByRole('link', { name: 'Compare with another' }).click()
    await page.getByRole('searchbox').fill('/api/orders')
    const others = page.getByRole('checkbox', { name: /POST \/api\/orders/, checked: false })
    await others.first().check()
    await page.getByRole('link', { name: 'Compare these two' }).click()
    await page.getByRole('heading', { name: 'Hop by hop' }).waitFor()
    await page.locator('.pairs').getByText('into orders').first().waitFor()
    assert.ok((await page.locator('.bar2 .span').count()) >= 5)
    await judge(page, 'two traces')
    await page.getByRole('button', { name: 'only what differs' }).click()
    await judge(page, 'what differs')
  })
}

test('a request is found by its ID, with who has refused it', { timeout: 90_000 }, async (t) => {
  const page = await visit(t)
  const reply = await fetch(`${demo.edge}/api/partner/products/lamp-01`)
  assert.equal(reply.status, 401)
  const id = reply.headers.get('x-request-id')
  await go(page, '/traces')
  await page.getByLabel('Trace or request ID').fill(id)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'GET /api/partner/products/lamp-01', level: 1 }).waitFor()
  assert.ok(page.url().endsWith(`/requests/${id}`))
  await page.getByText('at the edge').waitFor()
  await page.getByText('Unauthenticated').first().waitFor()
  await judge(page, 'a request')
})

test('two traces: what is only in one, and what is other', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  const other = structuredClone(trace)
  other.traceID = trace.traceID.replace('0af', '1af')
  other.hops.splice(3, 1)
  Object.assign(other.hops[2], { duration: 90e6, status: 503, endpoint: '10.0.0.9:15008', tries: other.hops[2].tries.slice(0, 1) })
  await answer(page, `/v1/traces/${trace.traceID}`, trace)
  await answer(page, `/v1/traces/${other.traceID}`, other)
  await go(page, `/traces/compare?a=${trace.traceID}&b=${other.traceID}`)
  const lines = page.locator('.pairs > li')
  await until('four hops stand there', async () => (await lines.count()) === 4)
  assert.match(await lines.nth(2).innerText(), /\+50 ms[\s\S]*Status[\s\S]*201 →[\s\S]*503[\s\S]*Tries[\s\S]*2 \(UpstreamStatus, 201\) →[\s\S]*1 \(UpstreamStatus\)/)
  assert.match(await lines.nth(3).innerText(), /only in A/)
  await page.getByRole('button', { name: 'only what differs' }).click()
  await until('two of them differ', async () => (await lines.count()) === 2)
  await judge(page, 'two traces')
})

test('a proxy that cannot be asked is named', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  await answer(page, '/v1/requests/a-request', trace)
  await go(page, '/requests/a-request')
  await page.getByText('it did not answer in time').waitFor()
  await page.getByText('dealers').waitFor()
  await page.getByRole('button', { name: /try 1/ }).click()
  await page.getByText('UpstreamStatus').waitFor()
})

test('a tap of the demo begins when it is asked to', { timeout: 90_000 }, async (t) => {
  const page = await visit(t)
  const asked = []
  page.on('request', (r) => r.url().includes('/v1/tap?') && asked.push(r.url()))
  await go(page, pages.route.at)
  await page.getByText('Nobody looks').waitFor()
  assert.deepEqual(asked, [])
  await page.getByRole('button', { name: 'Tap' }).click()
  await page.locator('.tap').getByText(/GET \/api\/reviews\//).first().waitFor({ timeout: 60_000 })
  assert.equal(new URL(asked[0]).searchParams.get('route'), 'HTTPRoute/default/reviews')
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('button', { name: 'Tap' }).waitFor()
  await judge(page, 'a tap')
})

test('what a tap has left out is said', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  await page.route('**/v1/tap?*', (route) => route.fulfill({ body: passing, contentType: 'application/x-ndjson' }))
  await go(page, pages.route.at)
  await page.getByRole('button', { name: 'Tap' }).click()
  await page.getByText('5 more were left out').waitFor()
  await page.getByRole('button', { name: 'Tap' }).waitFor()
})

test('what fails inside the mesh is on the first page', { timeout: 90_000 }, async (t) => {
  const page = await visit(t)
  // Payments of the demo fail for 8 s of each half minute.
  const matter = page.getByRole('link', { name: /^payments fails/ })
  await page.getByRole('heading', { name: 'Needs attention' }).waitFor()
  await matter.waitFor({ timeout: 60_000 })
  await page.getByText(/Asked by orders/).first().waitFor()
  await page.getByText(/^Serving, with \d+ serious matter/).waitFor()

  // What it is compared with: a long time that was well, as the process would tell it.
  const graph = mesh(12)
  const sick = graph.nodes.find((n) => n.name === 'service-5').in
  const past = structuredClone(graph)
  past.from = new Date(Date.parse(graph.from) - 58 * 60_000).toISOString()
  const [x, slow] = [past, graph].map((g) => g.nodes.find((n) => n.name === 'service-7').in)
  Object.assign(past.nodes.find((n) => n.name === 'service-5').in, { count: sick.count * 30, errors: (sick.errors * sick.count) / (sick.count * 30) })
  Object.assign(x, { count: slow.count * 30, p99: slow.p99 })
  slow.p99 *= 4
  await page.route('**/v1/graph?*', (route) => route.fulfill({ json: route.request().url().includes('window=1h') ? past : graph }))
  await page.reload()
  await page.getByText(/against 0 % in the 58 min before/).waitFor()
  await page.getByRole('link', { name: 'service-7 has become slow' }).waitFor()
  await judge(page, 'overview with failures')
})

test('what sidecars see that is not well is on the first page, and at the service', { timeout: 120_000 }, async (t) => {
  const page = await visit(t)
  // The orders' sidecar opens its breaker while payments fail, and tells of it for a minute more.
  const matter = page.getByRole('link', { name: /^The circuit breaker of payments / })
  await until('the breaker is told of', async () => (await tell('/v1/troubles?service=default/payments'))?.troubles.some((x) => x.kind === 'breaker' && x.proxies.every((p) => p.startsWith('default/orders/'))), 90_000)
  const more = page.getByRole('button', { name: /^\d+ more$/ })
  await until('the breaker is on the page', async () => {
    if (await more.isVisible()) await more.click().catch(() => {})
    return matter.isVisible()
  }, 60_000)
  await page.getByText(/^At orders\. /).first().waitFor()
  await judge(page, 'overview with a breaker')

  // All kinds of it, as the process would tell of a larger mesh.
  const now = new Date().toISOString()
  const trouble = (cluster, kind, more = {}) => ({ cluster: `Service/default/${cluster}`, kind, since: now, proxies: ['default/orders/127.0.0.1:1'], seenBy: 1, ...more })
  const list = [
    trouble('payments:80', 'breaker', { detail: 'open', times: 3, proxies: ['default/orders/a:1', 'shop/cart/b:1', 'node/n1/c:1', 'edge-host/7'], seenBy: 40 }),
    trouble('payments:80', 'full', { times: 12, over: now }),
    trouble('payments:80', 'ejected', { endpoint: '10.0.0.1:80', endpoints: 2, detail: 'consecutive 5xx' }),
    trouble('payments:80', 'unhealthy', { endpoint: '10.0.0.2:80', endpoints: 2 }),
    trouble('cart:80', 'ejected', { endpoint: '10.0.0.3:80', endpoints: 3, over: now }),
  ]
  await answer(page, '/v1/status', { ...(await tell('/v1/status')), troubles: list })
  await answer(page, '/v1/troubles?*', { troubles: list.slice(0, 4) })
  await page.reload()
  for (const name of ['The circuit breaker of payments is open', '2 endpoints of 2 of payments are out', '12 requests to payments found its pools full']) {
    await until(name, async () => {
      if (await more.isVisible()) await more.click().catch(() => {})
      return page.getByRole('link', { name }).isVisible()
    }, 30_000)
  }
  await page.getByText('At cart', { exact: false }).or(page.getByText('and others, 40 proxies in all')).first().waitFor()
  await page.setViewportSize({ width: 390, height: 844 })
  await judge(page, 'overview with all kinds of trouble at 390')
  await go(page, pages.inside.at)
  const table = page.getByRole('region', { name: 'Not well', exact: true })
  for (const text of ['breaker open', '12 requests refused at a limit', 'ejected: consecutive 5xx', 'fails its health check']) await table.getByText(text).waitFor()
  await judge(page, 'a service with trouble')
})

test('a split shows what each version has got', { timeout: 90_000 }, async (t) => {
  const page = await visit(t, { at: pages.route.at })
  await page.getByText(/\d %\s*actual/).first().waitFor({ timeout: 60_000 })
  await page.getByText('of Gateway edge').first().waitFor()
  await page.getByLabel('Time of charts').selectOption('1h')
  assert.match(page.url(), /window=1h/)
  await judge(page, 'a route with its shares')
})

/** asks counts requests to the API while a minute of the page's own clock goes by. */
async function asks(page, act = async () => {}) {
  const list = []
  let open = 0
  page.on('request', (r) => r.url().includes('/v1/') && (open++, list.push(new URL(r.url()).pathname)))
  for (const event of ['requestfinished', 'requestfailed']) page.on(event, (r) => r.url().includes('/v1/') && open--)
  await act()
  for (let second = 0; second < 60; second++) {
    await page.clock.runFor(1000)
    await until('all is answered', async () => open <= 0)
  }
  return list
}

test('a page asks seldom, and not at all while it is hidden', { timeout: 240_000 }, async (t) => {
  for (const [name, most] of [['/', 2], ['/graph', 1.5], [pages.service.at, 2.5]]) {
    const page = await visit(t)
    await page.clock.install()
    await go(page, name)
    await settled(page)
    const list = await asks(page)
    t.diagnostic(`${decodeURIComponent(name)}: ${(list.length / 60).toFixed(2)} requests per second`)
    assert.ok(list.length > 10 && list.length <= most * 60, `${name}: ${list.length} in a minute: ${list.join(' ')}`)
    const hidden = await asks(page, () =>
      page.evaluate(() => {
        Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
        document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
      }),
    )
    assert.deepEqual(hidden, [], `${name}, hidden`)
  }
})

test('the pages are small', async (t) => {
  const dist = join(root, 'internal/surface/console/dist')
  const packed = (file) => gzipSync(readFileSync(join(dist, file))).length
  const assets = readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`)
  const index = readFileSync(join(dist, 'index.html'), 'utf8')
  const first = ['index.html', ...assets.filter((name) => index.includes(name))].reduce((n, name) => n + packed(name), 0)
  const all = assets.reduce((n, name) => n + packed(name), packed('index.html'))
  const size = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).reduce((n, f) => n + statSync(join(f.parentPath ?? f.path, f.name)).size, 0)
  t.diagnostic(`${Math.round(first / 1024)} KiB packed for the first page, ${Math.round(all / 1024)} KiB for all, ${Math.round(size / 1024)} KiB in the binary`)
  assert.ok(first < 140 * 1024 && all < 400 * 1024, `${first} and ${all} bytes`)
})

test('search is in the address', { timeout: 40_000 }, async (t) => {
  const page = await visit(t, { at: '/routes' })
  await settled(page)
  await page.getByRole('searchbox').fill('checkout')
  await page.getByRole('status').getByText('1 route').waitFor()
  assert.match(page.url(), /\?q=checkout$/)
  await page.reload()
  await page.getByRole('status').getByText('1 route').waitFor()
  await page.getByRole('searchbox').fill('nothing at all')
  await page.getByText('No route matches').waitFor()
  await go(page, '/nowhere')
  await page.getByText('There is no page at this address').waitFor()
})

test('a broken object is what needs attention', { timeout: 90_000 }, async (t) => {
  const good = readFileSync(demo.shop, 'utf8')
  t.after(() => writeFileSync(demo.shop, good))
  const page = await visit(t)
  await page.getByRole('heading', { name: 'Needs attention' }).waitFor()
  assert.equal(await page.getByRole('link', { name: 'HTTPRoute/default/reviews is refused' }).count(), 0)
  writeFileSync(demo.shop, good.replace(/(kind: HTTPRoute\nmetadata: \{name: reviews\}\nspec:\n)/, '$1  hostnamez: [shop.example]\n'))
  const matter = page.getByRole('link', { name: /HTTPRoute\/default\/reviews/ }).first()
  await matter.waitFor({ timeout: 20_000 })
  await judge(page, 'overview with something wrong')
  await matter.click()
  await page.getByText('goes on serving').first().waitFor()
  await page.getByText('hostnamez').first().waitFor()
  await judge(page, 'a refused object')
  writeFileSync(demo.shop, good)
  await page.getByText('In service').first().waitFor({ timeout: 20_000 })
})

test('the first paint takes less than a second', { timeout: 40_000 }, async (t) => {
  const page = await visit(t)
  await page.reload()
  const paint = await page.evaluate(
    () => new Promise((resolve) => new PerformanceObserver((list) => list.getEntriesByName('first-contentful-paint').forEach((e) => resolve(e.startTime))).observe({ type: 'paint', buffered: true })),
  )
  t.diagnostic(`first contentful paint after ${Math.round(paint)} ms`)
  assert.ok(paint < 1000, `${paint} ms`)
})

test('screenshots', { timeout: 120_000, skip: process.env.SCREENSHOTS ? false : 'SCREENSHOTS=1 writes them' }, async (t) => {
  const page = await visit(t, { width: 1280, height: 800 })
  await until('charts have a past', async () => (await page.evaluate(() => performance.now())) > 45_000, 60_000)
  const shots = { overview: '/', route: pages.route.at, explain: `/explain?url=${encodeURIComponent(`${demo.edge}/api/reviews/lamp-01`)}`, mesh: '/mesh', graph: '/graph', traces: '/traces' }
  for (const [name, at] of Object.entries(shots)) {
    // Charts keep what they have seen as long as the page is not loaded anew.
    await page.evaluate((to) => {
      history.pushState(null, '', `/console${to}`)
      dispatchEvent(new PopStateEvent('popstate'))
    }, at)
    await settled(page)
    await until('charts are drawn', async () => page.evaluate(() => document.querySelectorAll('.chart').length === document.querySelectorAll('.chart canvas').length))
    await page.setViewportSize({ width: 1280, height: name === 'overview' ? 1180 : 800 })
    await page.screenshot({ path: join(root, `docs/images/console-${name}.png`) })
  }
})
