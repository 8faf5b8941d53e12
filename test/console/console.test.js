// The console in Chromium, against a running demo: each page, wide and narrow, light and
// dark, by keyboard, and judged by axe. Screenshots of the guides come from here.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { answer, mesh, passing, trace, traces } from './made.js'
import { axe, root, startBrowser, startDemo, until } from './gridway.js'

let demo
let browser

before(async () => {
  ;[demo, browser] = await Promise.all([startDemo(), startBrowser()])
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
  service: { at: '/services/Service%2Fdefault%2Fcatalog', see: ['healthy', 'closed', 'Endpoints'] },
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

for (const [services, seen] of [[12, 'service-5'], [500, 'team-19']]) {
  test(`a graph of ${services} services`, { timeout: 60_000 }, async (t) => {
    const page = await visit(t)
    const graph = mesh(services)
    await answer(page, '/v1/graph?*', graph)
    await go(page, '/graph')
    const node = page.locator('.node').filter({ hasText: seen })
    await node.waitFor()
    await judge(page, 'graph')
    const where = async () => JSON.stringify(await page.locator('.react-flow__node').evaluateAll((list) => list.map((n) => [n.dataset.id, n.style.transform])))

    // What stands, stays, also while rates change and somebody new calls.
    const before = JSON.parse(await where())
    const first = graph.nodes[2]
    graph.nodes.push({ ...first, id: 'new/caller', namespace: 'new', name: 'caller' })
    graph.edges.push({ ...graph.edges[0], id: `new/caller>${first.id}`, source: 'new/caller', destination: first.id, requests: 7.7 })
    await page.locator('.node').filter({ hasText: services > 80 ? 'new' : 'caller' }).waitFor({ timeout: 15_000 })
    const after = new Map(JSON.parse(await where()))
    assert.deepEqual(before.filter(([id, at]) => after.get(id) !== at), [])

    // By search, and by name in the list.
    await page.getByRole('searchbox').fill('service-5')
    await page.locator('.node:not(.dim)').filter({ hasText: 'service-5' }).first().waitFor()
    await page.getByRole('region', { name: 'Edges' }).getByRole('link', { name: 'service-5', exact: true }).first().waitFor()
    await page.getByRole('searchbox').fill('')
    await node.click()
    if (services > 80) await page.locator('.node').filter({ hasText: 'service-475' }).waitFor()
    else await page.getByRole('heading', { name: 'service-5' }).waitFor()
    await judge(page, 'graph with something chosen')
  })
}

for (const width of [1280, 390]) {
  test(`traces and a waterfall, ${width} pixels`, { timeout: 60_000 }, async (t) => {
    const page = await visit(t, { width, colorScheme: width === 390 ? 'dark' : 'light' })
    await answer(page, '/v1/traces?*', traces)
    await answer(page, `/v1/traces/${trace.traceID}`, trace)
    await answer(page, '/v1/requests/a-request', trace)
    await go(page, '/traces')
    await page.getByText('BreakerOpen').waitFor()
    await judge(page, 'traces')
    await page.getByRole('link', { name: 'POST /api/orders' }).click()
    await page.getByRole('heading', { name: 'POST /api/orders', level: 1 }).waitFor()
    await page.getByText('shop.yaml:199').waitFor()
    await page.getByText('dealers').waitFor()
    await page.getByText('it did not answer in time').waitFor()
    await judge(page, 'a trace')
    await page.getByRole('button', { name: /try 1/ }).click()
    await page.getByText('UpstreamStatus').waitFor()
    await go(page, '/traces')
    await page.getByLabel('Trace or request ID').fill('a-request')
    await page.keyboard.press('Enter')
    await page.getByText('at the edge').waitFor()
    assert.match(page.url(), /\/requests\/a-request$/)
  })
}

test('a tap begins when it is asked to', { timeout: 60_000 }, async (t) => {
  const page = await visit(t)
  let asked = ''
  await page.route('**/v1/tap?*', (route) => {
    asked = route.request().url()
    return route.fulfill({ body: passing, contentType: 'application/x-ndjson' })
  })
  await go(page, pages.route.at)
  await page.getByText('Nobody looks').waitFor()
  assert.equal(asked, '')
  await page.getByRole('button', { name: 'Tap' }).click()
  await page.getByRole('link', { name: 'GET /products', exact: true }).waitFor()
  await page.getByText('5 more were left out').waitFor()
  assert.equal(new URL(asked).searchParams.get('route'), 'HTTPRoute/default/reviews')
  await page.getByRole('button', { name: 'Tap' }).waitFor()
  await judge(page, 'a tap')
})

test('what fails inside the mesh is on the first page', { timeout: 90_000 }, async (t) => {
  const page = await visit(t)
  // Payments of the demo fail for 8 s of each half minute.
  const matter = page.getByRole('link', { name: /^payments fails/ })
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
    await page.screenshot({ path: join(root, `docs/images/console-${name}.png`) })
  }
})
