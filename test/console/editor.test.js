// The editor of the console in Chromium, against a running demo: what an edit would do is
// shown, applied, found among the revisions and rolled back.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
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

const slow = { timeout: 30_000 }

async function visit(t, { width = 1280, height = 900, colorScheme = 'light', at }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' })
  t.after(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  page.problems = []
  page.on('pageerror', (e) => page.problems.push(e.message))
  page.on('console', (m) => m.type() === 'error' && !/status of 4\d\d/.test(m.text()) && page.problems.push(m.text()))
  await page.goto(demo.link)
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  await go(page, at)
  return page
}

async function go(page, at) {
  await page.goto(`${demo.base}/console${at}`)
  await page.getByRole('heading', { level: 1 }).waitFor()
}

async function judge(page, what) {
  await until('nothing is loading', async () => (await page.locator('.loading').count()) === 0, 30_000)
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
  assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(', ')}`), [], `axe, ${what}`)
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`)
  assert.deepEqual(page.problems, [], what)
}

const editor = (page) => page.getByRole('textbox', { name: /leaves the editor/ })

/** write replaces the text of the editor; what is pasted is not completed or indented. */
async function write(page, text) {
  const area = editor(page)
  await area.click()
  await page.keyboard.press('Control+A')
  await page.keyboard.press('Delete')
  await page.keyboard.insertText(text)
}

const backend = (address) => `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata:
  name: corner
spec:
  endpoints:
  - address: ${address}
`

for (const [width, colorScheme] of [[1280, 'light'], [390, 'dark']]) {
  test(`parts of the configuration, ${width} pixels, ${colorScheme}`, { timeout: 120_000 }, async (t) => {
    const page = await visit(t, { width, colorScheme, at: '/configuration/edit/HTTPRoute/default/reviews' })
    await editor(page).waitFor()
    await page.getByText('Change it there: files hold').waitFor()
    await page.getByText('served as before').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Apply' }).count(), 0, 'an object of a file cannot be applied')
    await judge(page, 'the editor')
    await go(page, '/configuration/new?kind=Backend')
    await editor(page).waitFor()
    await page.getByText('Valid', { exact: true }).waitFor()
    await judge(page, 'a new object')
    await go(page, '/configuration/checks')
    await page.getByRole('heading', { name: 'Results', exact: true }).waitFor()
    await judge(page, 'check results')
    await go(page, '/configuration/revisions')
    await page.getByRole('heading', { name: 'Revisions', level: 2 }).waitFor()
    await judge(page, 'revisions')
  })
}

test('an object is written, applied, changed, and rolled back', { timeout: 240_000 }, async (t) => {
  const page = await visit(t, { at: '/configuration' })
  await page.getByRole('link', { name: 'New object' }).click()
  await page.getByRole('combobox', { name: 'Kind' }).selectOption('Backend')
  await editor(page).waitFor()

  // What is wrong is said at its line, and keeps it from being applied.
  await write(page, backend('127.0.0.1:9').replace('endpoints:', 'endpointz:'))
  await page.getByText('line 6').first().waitFor()
  const apply = page.getByRole('button', { name: 'Apply', exact: true })
  assert.equal(await apply.isDisabled(), true)

  await write(page, backend('127.0.0.1:9'))
  await page.getByText('Valid', { exact: true }).waitFor()
  await page.getByText('added', { exact: true }).waitFor()
  await page.getByLabel('Why, for the list of revisions').fill('a corner shop')
  await until('it can be applied', () => apply.isEnabled(), 30_000)
  await apply.click()
  await page.getByText(/Backend corner created/).waitFor()
  await page.getByText(/proxies serve it|It is in service/).waitFor()

  // It is an object of its own now, and the next change is another revision.
  await go(page, '/configuration/edit/Backend/default/corner')
  await editor(page).waitFor()
  await write(page, backend('127.0.0.1:10'))
  await page.getByText('changed', { exact: true }).waitFor()
  await until('it can be applied', () => apply.isEnabled(), 30_000)
  await apply.click()
  await page.getByText(/Backend corner changed/).waitFor()

  await go(page, '/configuration/revisions?object=Backend/default/corner')
  const rows = page.getByRole('region', { name: 'Revisions' }).getByRole('row')
  await until('both revisions are listed', async () => (await rows.count()) === 3, 30_000)
  await page.getByText('a corner shop').waitFor()
  const numbers = (await rows.getByRole('link').allInnerTexts()).map(Number)
  await judge(page, 'revisions with something in them')

  await page.getByRole('link', { name: String(Math.max(...numbers)), exact: true }).click()
  await page.getByText('address: 127.0.0.1:10').waitFor()
  await page.getByText('address: 127.0.0.1:9', { exact: false }).first().waitFor()
  await page.getByRole('button', { name: 'Side by side' }).click()
  await judge(page, 'a revision')

  await go(page, `/configuration/revisions/${Math.min(...numbers)}`)
  await page.getByRole('button', { name: 'Show what it would do' }).click()
  const back = page.getByRole('button', { name: /Roll back to/ })
  await until('it can be rolled back', () => back.isEnabled(), 30_000)
  await page.getByText('127.0.0.1:10').first().waitFor()
  await judge(page, 'the effect of a rollback')
  await back.click()
  await page.getByText(/Backend corner changed/).waitFor()

  await go(page, '/configuration/delete/Backend/default/corner')
  const remove = page.getByRole('button', { name: 'Delete corner' })
  await until('it can be deleted', () => remove.isEnabled(), 30_000)
  await remove.click()
  await page.getByText(/Backend corner deleted/).waitFor()
  await judge(page, 'after it was deleted')
})

test('requests that would be decided otherwise are asked about', { timeout: 120_000 }, async (t) => {
  const page = await visit(t, { at: '/configuration/new?kind=AuthorizationPolicy' })
  await editor(page).waitFor()
  await write(page, `apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata:
  name: closed
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: catalog}]
  action: Deny
  rules:
  - name: all
    methods: [GET]
`)
  await page.getByText(/\d+ decided otherwise/).waitFor()
  const apply = page.getByRole('button', { name: 'Apply', exact: true })
  await until('it can be applied', () => apply.isEnabled(), 30_000)
  if (process.env.SCREENSHOTS) {
    await page.evaluate(() => scrollTo(0, 0))
    await page.screenshot({ path: join(root, 'docs/images/console-editor.png') })
  }
  await apply.click()
  await page.getByText('Have a look at them before').waitFor()
  await page.getByRole('button', { name: 'Apply all the same' }).waitFor()
  await judge(page, 'a change that refuses requests')
  assert.equal(await page.getByText(/created\./).count(), 0, 'nothing was applied')
})

test('the editor completes, and is left by keyboard', { timeout: 120_000 }, async (t) => {
  const page = await visit(t, { at: '/configuration/new?kind=HTTPRoute' })
  await editor(page).waitFor()
  await page.getByText(/Valid|error/).first().waitFor()
  // A key that comes at once with the list is not taken for an answer to it, and
  // closes it: on a slow machine it is typed again.
  await until('the name is completed', async () => {
    await write(page, 'apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: x\nspec:\n  ')
    await page.keyboard.type('host')
    const shown = await page.getByRole('option', { name: /hostnames/, selected: true }).waitFor({ timeout: 20_000 }).then(() => true, () => false)
    if (shown) await page.keyboard.press('Enter')
    return shown && (await editor(page).innerText()).includes('hostnames:')
  }, 90_000)
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.classList.contains('editor')), false, 'Escape and Tab leave the editor')
  await judge(page, 'the editor, left')
})

test('an editor begins with what its kind accepts', { timeout: 240_000 }, async (t) => {
  const page = await visit(t, { at: '/configuration/new' })
  await editor(page).waitFor()
  const kinds = await page.getByRole('combobox', { name: 'Kind' }).locator('option').allInnerTexts()
  assert.ok(kinds.length > 20, kinds.join())
  for (const kind of kinds) {
    const [reply] = await Promise.all([page.waitForResponse((r) => r.url().endsWith('/v1/effect'), slow), go(page, `/configuration/new?kind=${kind}`)])
    const effect = await reply.json()
    // What it names need not be there; that it is written as its kind asks is what counts.
    const wrong = effect.problems.filter((p) => p.severity === 'error' && ['UnknownField', 'WrongType', 'MissingField', 'TooShort', 'InvalidCombination', 'InvalidValue'].includes(p.code))
    assert.deepEqual(wrong, [], kind)
  }
})

test('the chunk of the editor is bounded', async () => {
  const { readdirSync } = await import('node:fs')
  const { gzipSync } = await import('node:zlib')
  const assets = join(root, 'internal/surface/console/dist/assets')
  const size = (name) => readdirSync(assets).filter((f) => f.startsWith(name) && f.endsWith('.js')).reduce((n, f) => n + gzipSync(readFileSync(join(assets, f))).length, 0)
  assert.ok(size('edit-') < 160 << 10, `the editor has ${size('edit-')} bytes`)
  assert.ok(size('index-') < 125 << 10, `the first page has ${size('index-')} bytes`)
})
