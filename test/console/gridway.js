// Starts a demo of the binary under test, and a browser beside it.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** startDemo resolves as soon as the shop is open. GRIDWAY_BINARY saves building it. */
export async function startDemo() {
  const dir = mkdtempSync(join(tmpdir(), 'gridway-console-'))
  const binary = process.env.GRIDWAY_BINARY || join(dir, 'gridway')
  if (!process.env.GRIDWAY_BINARY) await promisify(execFile)('go', ['build', '-o', binary, './cmd/gridway'], { cwd: root })
  const shop = join(dir, 'shop')
  const demo = spawn(binary, ['demo', '--any-port', '--dir', shop], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => demo.on('exit', resolve))
  let said = ''
  const open = new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk
      if (said.includes('Ctrl-C ends the demo')) resolve()
    }
    demo.stdout.on('data', hear)
    demo.stderr.on('data', hear)
    ended.then((code) => reject(new Error(`the demo ended with ${code}:\n${said}`)))
  })
  const close = async () => {
    demo.kill('SIGTERM')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await open
  } catch (cause) {
    await close()
    throw cause
  }
  const link = /http:\/\/\S+\/console\/#token=(\S+)/.exec(said)
  const tokenFile = /cat (\S+)\)/.exec(said)[1]
  return { link: link[0], base: new URL(link[0]).origin, token: link[1], tokenFile, edge: /edge\s+(http:\S+)/.exec(said)[1], shop: join(shop, 'shop.yaml'), close, said: () => said }
}

/** startBoth resolves to a demo and a browser, or ends the one if the other cannot be started. */
export async function startBoth() {
  const [demo, browser] = await Promise.allSettled([startDemo(), startBrowser()])
  if (demo.status === 'fulfilled' && browser.status === 'fulfilled') return [demo.value, browser.value]
  await demo.value?.close()
  await browser.value?.close()
  throw demo.reason ?? browser.reason
}

function startBrowser() {
  const executablePath = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find(existsSync)
  if (!executablePath) throw new Error('Chromium is missing; run scripts/setup test')
  return chromium.launch({ executablePath, args: ['--no-sandbox'] })
}

/** until repeats a check that asks the outside until it holds, within the time of a page. */
export async function until(what, check, within = 15_000) {
  const end = Date.now() + within
  for (;;) {
    if (await check()) return
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export const axe = readFileSync(fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8')
