// What people change in the console, in Chromium, against a running demo: who may manage,
// who may call, who may be in the mesh; and what each role is shown.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { axe, startBoth, until } from './gridway.js'

let demo
let browser

before(async () => {
  ;[demo, browser] = await startBoth()
  await api('POST', '/v1/consumers', { apiVersion: 'gridway.dev/v1alpha1', kind: 'Consumer', metadata: { name: 'acme' }, spec: {} })
}, { timeout: 240_000 })

after(async () => {
  await browser?.close()
  await demo?.close()
})

async function api(method, path, body) {
  const token = readFileSync(demo.tokenFile, 'utf8').trim()
  const reply = await fetch(demo.base + path, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  const text = await reply.text()
  assert.ok(reply.ok, `${method} ${path}: ${reply.status} ${text}`)
  return text && JSON.parse(text)
}

/** visit opens a page with a token; whatever goes wrong in it fails the test. */
async function visit(t, at, { token = demo.token, width = 1280, colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 860 }, colorScheme, reducedMotion: 'reduce' })
  t.after(() => context.close())
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (e) => page.problems.push(e.message))
  page.on('console', (m) => m.type() === 'error' && !/status of 4\d\d/.test(m.text()) && page.problems.push(m.text()))
  await page.goto(`${demo.base}/console/#token=${token}`)
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  await page.goto(`${demo.base}/console${at}`)
  await page.getByRole('heading', { level: 1 }).waitFor()
  return page
}

async function judge(page, what) {
  await until('nothing is loading', async () => (await page.locator('.loading').count()) === 0)
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
  assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(', ')}`), [], `axe, ${what}`)
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`)
  assert.deepEqual(page.problems, [], what)
}

const table = (page, name) => page.getByRole('region', { name, exact: true })
const dialog = (page) => page.getByRole('dialog')

for (const [width, colorScheme] of [[1280, 'light'], [390, 'dark']]) {
  test(`access and its dialogs, ${width} pixels, ${colorScheme}`, { timeout: 60_000 }, async (t) => {
    const page = await visit(t, '/access', { width, colorScheme })
    await table(page, 'Tokens').getByText('first-admin').first().waitFor()
    await table(page, 'Consumers').getByText('default/acme').waitFor()
    await judge(page, `access at ${width}`)
    await page.getByRole('button', { name: 'Make a token…' }).click()
    await dialog(page).getByText('may do what its role may').waitFor()
    await judge(page, `a dialog at ${width}`)
  })
}

test('tokens are made, shown once, and revoked; viewers change nothing', { timeout: 90_000 }, async (t) => {
  const page = await visit(t, '/access')
  await page.getByRole('button', { name: 'Make a token…' }).click()
  await dialog(page).getByLabel('Name').fill('no name')
  await dialog(page).getByRole('button', { name: 'Make a token…' }).click()
  await dialog(page).getByRole('alert').getByText('letters, digits').waitFor()
  await dialog(page).getByLabel('Name').fill('reader')
  await dialog(page).getByLabel('Role').selectOption('viewer')
  await dialog(page).getByRole('button', { name: 'Make a token…' }).click()
  const secret = await dialog(page).locator('.secret').textContent()
  assert.match(secret, /^gridway_/)
  await page.keyboard.press('Escape') // which does not take it away
  assert.equal(await dialog(page).locator('.secret').textContent(), secret)
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  await table(page, 'Tokens').getByText('reader').waitFor()
  assert.ok(!(await page.content()).includes(secret))

  const viewer = await visit(t, '/access', { token: secret })
  await viewer.getByText('read everything but secrets').waitFor()
  await table(viewer, 'Consumers').getByText('default/acme').waitFor()
  assert.equal(await viewer.getByRole('button', { name: /Make|Revoke|Rotate/ }).count(), 0)
  assert.equal(await viewer.getByRole('heading', { name: /Tokens|Audit log/ }).count(), 0)
  await judge(viewer, 'access of a viewer')
  await viewer.goto(`${demo.base}/console/mesh`)
  await viewer.getByText('Nobody is denied').waitFor()
  assert.equal(await viewer.getByRole('button', { name: /Deny|Allow|Make|Revoke/ }).count(), 0)

  await page.getByRole('button', { name: 'Revoke reader' }).click()
  await dialog(page).getByText('every session that began with it').waitFor()
  await dialog(page).getByRole('button', { name: 'Revoke' }).click()
  await until('the token is gone', async () => (await table(page, 'Tokens').getByText('reader').count()) === 0)
  await viewer.reload()
  await viewer.getByLabel('Token').waitFor()
  // All of that is in the audit log.
  await page.getByLabel('Who, as it is written in the log').waitFor()
  await table(page, 'Audit log').getByText(/revoke|delete/).first().waitFor()
  await page.getByRole('searchbox', { name: 'Object' }).fill('Token/none')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('Names must be whole').waitFor()
})

test('keys of a consumer are made, rotated and revoked', { timeout: 90_000 }, async (t) => {
  const page = await visit(t, '/access')
  const keys = async () => (await api('GET', '/v1/consumers')).find((c) => c.name === 'acme').credentials.map((k) => k.name)
  await page.getByRole('button', { name: 'Make a key… of default/acme' }).click()
  await dialog(page).getByRole('button', { name: 'Make a key…' }).click()
  await dialog(page).getByText('Key key-1 of default/acme').waitFor()
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: 'Rotate key-1 of default/acme' }).click()
  await dialog(page).getByLabel('The old one').selectOption('3600')
  await dialog(page).getByRole('button', { name: 'Rotate' }).click()
  await dialog(page).getByText('The one before is accepted until').waitFor()
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  await until('there are two keys', async () => (await keys()).length === 2)
  await page.getByRole('button', { name: 'Revoke key-1 of default/acme' }).click()
  await dialog(page).getByRole('button', { name: 'Revoke' }).click()
  await until('the old key is gone', async () => !(await keys()).includes('key-1'))
  await until('and is not shown', async () => (await page.getByRole('button', { name: 'Revoke key-1 of default/acme' }).count()) === 0)
})

test('identities are denied and allowed by keyboard', { timeout: 90_000 }, async (t) => {
  const page = await visit(t, '/mesh')
  const deny = page.getByRole('button', { name: 'Deny…' })
  await deny.focus()
  await page.keyboard.press('Enter')
  await dialog(page).waitFor()
  await page.keyboard.press('Escape')
  await dialog(page).waitFor({ state: 'detached' })
  assert.ok(await deny.evaluate((b) => b === document.activeElement), 'the button has the focus again')
  await page.keyboard.press('Enter')
  await dialog(page).getByLabel('SPIFFE ID').fill('spiffe://elsewhere')
  await page.keyboard.press('Enter')
  await dialog(page).getByRole('alert').waitFor()
  await dialog(page).getByLabel('SPIFFE ID').fill('spiffe://cluster.local/ns/default/sa/nobody')
  await dialog(page).getByLabel('Reason').fill('host lost')
  await judge(page, 'a dialog of the mesh')
  await page.keyboard.press('Enter')
  await table(page, 'Denials').getByText('host lost').waitFor()
  await judge(page, 'the mesh with a denial')
  await page.getByRole('button', { name: 'Allow nobody' }).click()
  await dialog(page).getByText('It was denied because of: host lost').waitFor()
  await dialog(page).getByRole('button', { name: 'Allow' }).click()
  await page.getByText('Nobody is denied').waitFor()
})

test('join tokens are made and revoked', { timeout: 90_000 }, async (t) => {
  const page = await visit(t, '/mesh')
  await page.getByRole('button', { name: 'Make a token…' }).click()
  await dialog(page).getByLabel('Services').fill('orders, cat*')
  await dialog(page).getByLabel('Uses').fill('3')
  await dialog(page).getByRole('button', { name: 'Make a token…' }).click()
  await dialog(page).locator('.secret').waitFor()
  await dialog(page).getByRole('button', { name: 'Close' }).click()
  const row = table(page, 'Join tokens').getByRole('row').filter({ hasText: 'orders, cat* in default' })
  await row.getByText('0 of 3').waitFor()
  await row.getByRole('button', { name: /^Revoke/ }).click()
  await dialog(page).getByRole('button', { name: 'Revoke' }).click()
  await row.waitFor({ state: 'detached' })
})

test('a viewer is offered nothing that would be refused, and told who may', { timeout: 120_000 }, async (t) => {
  const { token: viewerToken } = await api('POST', '/v1/tokens', { name: 'looks', role: 'viewer' })
  const viewer = await visit(t, '/configuration', { token: viewerToken, width: 390 })
  const refused = []
  viewer.on('response', (r) => r.status() === 403 && refused.push(r.url()))
  await viewer.getByRole('link', { name: 'Try a new object' }).waitFor()
  await viewer.goto(`${demo.base}/console/configuration/HTTPRoute/default/catalog`)
  await viewer.getByRole('link', { name: 'Try a change' }).waitFor()
  assert.equal(await viewer.getByRole('link', { name: /^(Edit|Delete)$/ }).count(), 0)
  await viewer.getByRole('link', { name: 'Try a change' }).click()
  await viewer.getByText('Your role may look, and not change').waitFor()
  assert.equal(await viewer.getByRole('button', { name: 'Apply' }).count(), 0)
  await viewer.goto(`${demo.base}/console/routes/HTTPRoute/default/catalog`)
  await viewer.getByText('Live traffic is for operators').waitFor()
  assert.equal(await viewer.getByRole('button', { name: 'Tap' }).count(), 0)
  await judge(viewer, 'a route, as a viewer')
  for (const at of ['/', '/graph', '/services', '/traces', '/mesh', '/access', '/explain', '/configuration/checks', '/configuration/revisions']) {
    await viewer.goto(`${demo.base}/console${at}`)
    await viewer.getByRole('heading', { level: 1 }).waitFor()
    await until(`${at} has loaded`, async () => (await viewer.locator('.loading').count()) === 0)
    assert.equal(await viewer.getByRole('button', { name: /^(Make|Revoke|Rotate|Deny|Allow|Tap|Apply|Delete)/ }).count(), 0, at)
  }
  // The audit log is asked for to say that it is for admins, and nothing else is refused.
  assert.deepEqual(refused.filter((url) => !url.includes('/v1/audit')), [])
  assert.deepEqual(viewer.problems, [])
})

test('an operator changes what operators may, and is shown no tokens', { timeout: 90_000 }, async (t) => {
  const { token: operator } = await api('POST', '/v1/tokens', { name: 'runs', role: 'operator' })
  const page = await visit(t, '/access', { token: operator })
  await page.getByText('also change the configuration').waitFor()
  await page.getByRole('button', { name: 'Make a key… of default/acme' }).waitFor()
  assert.equal(await page.getByRole('heading', { name: /Tokens|Audit log/ }).count(), 0)
  await page.goto(`${demo.base}/console/routes/HTTPRoute/default/catalog`)
  await page.getByRole('button', { name: 'Tap' }).click()
  await page.getByRole('list', { name: 'What passes' }).waitFor()
  await page.goto(`${demo.base}/console/mesh`)
  await page.getByRole('button', { name: 'Deny…' }).waitFor()
  assert.equal(await page.getByRole('heading', { name: 'Join tokens' }).count(), 0)
})

test('a session that is over leads to the login, and back to the page', { timeout: 90_000 }, async (t) => {
  const { token: viewer } = await api('POST', '/v1/tokens', { name: 'comes-back', role: 'viewer' })
  const at = '/configuration?kind=HTTPRoute'
  const [here, there] = await Promise.all([visit(t, at, { token: viewer }), visit(t, '/access', { token: viewer })])
  // One's own sessions, and nobody else's: of all that the tests have begun.
  await until('both sessions are shown', async () => (await table(there, 'Sessions').getByRole('row').count()) === 3)
  await judge(there, 'sessions')
  await table(there, 'Sessions').getByRole('button', { name: /^End the session of comes-back/ }).click()
  await dialog(there).getByText('That browser has to log in again').waitFor()
  await dialog(there).getByRole('button', { name: 'End' }).click()
  await here.getByRole('alert').getByText('Your session is over').waitFor({ timeout: 60_000 })
  await judge(here, 'the login after a session is over')
  await here.getByLabel('Token').fill(viewer)
  await here.getByRole('button', { name: 'Log in' }).click()
  await here.getByRole('heading', { name: 'Configuration', level: 1 }).waitFor()
  assert.equal(new URL(here.url()).pathname + new URL(here.url()).search, `/console${at}`)
  await table(here, 'Objects').getByText('catalog').first().waitFor()
  // Everywhere is here and there.
  await there.getByRole('button', { name: 'Log out everywhere…' }).click()
  await dialog(there).getByRole('button', { name: 'Log out everywhere…' }).click()
  await there.getByLabel('Token').waitFor()
  await here.getByRole('alert').getByText('Your session is over').waitFor({ timeout: 60_000 })
})
