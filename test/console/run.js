// Runs the files of tests one after the other. One that fails is run once more, and reported,
// as tests in Go are: a machine that is short of time must not stop a change.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const here = new URL('.', import.meta.url)
const passes = (file) => spawnSync(process.execPath, ['--test', '--test-force-exit', '--test-reporter=spec', file], { cwd: here, stdio: 'inherit' }).status === 0

const named = process.argv.slice(2)
const files = named.length ? named : readdirSync(here).filter((name) => name.endsWith('.test.js')).sort()
const again = files.filter((file) => !passes(file))
const failed = again.filter((file) => !passes(file))
for (const file of again) console.log(failed.includes(file) ? `failed twice: ${file}` : `once more: ${file} failed, and then passed`)
process.exit(failed.length ? 1 : 0)
