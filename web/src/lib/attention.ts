import type { IdentityAuthorityState, Place, SinkStatus, Status } from '../api/schema.gen'
import { ailingOf } from './ailing'
import { count } from './format'
import { refOf } from './names'
import { to } from './router'
import { lostBy } from './sinks'

/** Matter is something that somebody should look at. */
export interface Matter {
  key: string
  tone: 'bad' | 'warn' | 'info'
  what: string
  why: string
  /** remedy is what to do about it. */
  remedy?: string
  place?: Place
  link?: string
  since?: string
}

const day = 86_400_000
const objectLink = (name: string) => {
  const r = refOf(name)
  return to('configuration', r.kind, r.namespace || '-', r.name)
}

/** mattersOf gathers what needs attention, the worst first. */
export function mattersOf(s: Status | undefined, authority: IdentityAuthorityState | undefined, now: number, troubles: Matter[] = []): Matter[] {
  const list: Matter[] = []
  if (s) list.push(...ofProcess(s), ...ofObjects(s), ...ofCertificates(s, now), ...ofMesh(s), ...ailingOf(s.troubles, now))
  list.push(...troubles)
  if (authority) list.push(...ofAuthority(authority, now))
  const rank = { bad: 0, warn: 1, info: 2 }
  return list.sort((a, b) => rank[a.tone] - rank[b.tone])
}

function ofProcess(s: Status): Matter[] {
  const list: Matter[] = []
  if (!s.ready) list.push({ key: 'ready', tone: 'bad', what: `The process is ${s.state}`, why: 'It takes no new traffic.', since: s.started })
  if (s.lastFailure)
    list.push({ key: 'failure', tone: 'bad', what: 'The newest configuration could not be put in service', why: s.lastFailure.error, remedy: 'What served before goes on serving. Correct the files; they are read again as they change.', since: s.lastFailure.at })
  for (const l of s.listeners)
    if (l.state === 'failed')
      list.push({ key: `listener ${l.name}`, tone: 'bad', what: `Listener ${l.name} is not open`, why: l.error ?? '', remedy: l.nextTry ? 'It is tried again by itself; another program may have the port.' : undefined })
    else if (l.error) list.push({ key: `listener ${l.name}`, tone: 'warn', what: `Listener ${l.name} lacks something`, why: l.error })
  for (const r of s.rateLimitStores)
    if (r.state !== 'up') list.push({ key: `store ${r.name}`, tone: 'bad', what: `Rate limit store ${r.name} is down`, why: r.error ?? '', remedy: 'Limits that it counts do what their onError says until it answers.', since: r.since, link: to('configuration', 'RateLimitStore', ...r.name.split('/')) })
  for (const x of s.sinks) list.push(...ofSink(x))
  for (const d of s.dependencies)
    if (!d.up && d.kind !== 'sink')
      list.push({ key: `needs ${d.kind} ${d.owner} ${d.name}`, tone: d.kept ? 'warn' : 'bad', what: `${d.kind} of ${d.name} cannot be had`, why: d.error ?? 'nothing has come yet', remedy: d.kept ? 'What was fetched before goes on serving.' : undefined, since: d.since })
  return list
}

function ofSink(x: SinkStatus): Matter[] {
  const lost = lostBy(x)
  const link = objectLink(`TelemetrySink/${x.name}`)
  const name = x.name.replace(/^default\//, '')
  if (x.state === 'down') return [{ key: `sink ${x.name}`, tone: lost ? 'bad' : 'warn', link, since: x.since, what: lost ? `Telemetry sink ${name} is down and loses what is for it` : `Telemetry sink ${name} is down`, why: `${x.error ?? ''}${lost ? `${x.error ? '; ' : ''}${lost}` : ''}`, remedy: lost ? undefined : 'What is for it waits, as far as its queue goes.' }]
  const full = x.signals.find((n) => n.queueLimit && n.queued >= 0.9 * n.queueLimit)
  if (full) return [{ key: `sink ${x.name}`, tone: 'warn', link, what: `Telemetry sink ${name} is behind`, why: `${count(full.queued)} of at most ${count(full.queueLimit!)} records of ${full.signal} wait.`, remedy: 'What finds no room is lost: a quicker receiver, fewer samples, or a longer queue (spec.queue).' }]
  return lost ? [{ key: `sink ${x.name}`, tone: 'warn', link, what: `Telemetry sink ${name} has lost records`, why: `Since it was configured: ${lost}.` }] : []
}

function ofObjects(s: Status): Matter[] {
  const refused = new Set(s.refused.map((r) => r.object))
  const list: Matter[] = s.refused.map((r) => ({
    key: `refused ${r.object}`, tone: 'bad', what: `${r.object} is refused`, why: r.why.join('; '), place: r.place, link: objectLink(r.object), since: r.since,
    remedy: r.lastGood ? `Its version of revision ${r.lastGood} goes on serving.` : 'No version of it serves.',
  }))
  s.problems.forEach((p, i) => {
    if (p.severity === 'note' || (p.object && refused.has(p.object))) return
    list.push({ key: `problem ${i}`, tone: p.severity === 'error' ? 'bad' : 'warn', what: `${p.object ?? p.code}${p.field ? `: ${p.field}` : ''}`, why: p.message, remedy: p.remedy, place: p.place, link: p.object ? objectLink(p.object) : undefined })
  })
  return list
}

function ofCertificates(s: Status, now: number): Matter[] {
  return s.certificates.flatMap((c): Matter[] => {
    const left = c.notAfter ? Date.parse(c.notAfter) - now : 0
    const names = c.names.join(', ')
    const link = objectLink(c.issuer)
    if (!c.valid) return [{ key: `cert ${c.secret}`, tone: c.phase === 'Pending' ? 'warn' : 'bad', what: `There is no certificate for ${names}`, why: c.error || `It is ${c.phase.toLowerCase()}.`, link }]
    if (c.phase === 'Failing' || c.phase === 'Held') return [{ key: `cert ${c.secret}`, tone: left < 7 * day ? 'bad' : 'warn', what: `The certificate for ${names} is not renewed`, why: c.error ?? '', remedy: `It ends in ${Math.max(0, Math.floor(left / day))} days.`, link }]
    return []
  })
}

function ofMesh(s: Status): Matter[] {
  const list: Matter[] = []
  const m = s.mesh
  for (const p of m?.proxies ?? []) {
    if (p.state === 'Serving' || p.state === 'Newer') continue
    list.push({ key: `proxy ${p.name}`, tone: p.state === 'Refused' ? 'bad' : p.state === 'Gone' ? 'warn' : 'info', what: `Proxy ${p.name} is ${p.state === 'Gone' ? 'gone' : p.state === 'Refused' ? 'refusing its configuration' : 'behind'}`, why: p.why || `It serves revision ${p.revision} and is to serve ${p.wanted}.`, link: '/mesh', since: p.since })
  }
  for (const f of m?.federation ?? []) if (f.error) list.push({ key: `federation ${f.trustDomain}`, tone: f.roots ? 'warn' : 'bad', what: `The trust bundle of ${f.trustDomain} cannot be fetched`, why: f.error, link: '/mesh' })
  for (const p of m?.peers ?? []) if (!p.address) list.push({ key: `peer ${p.name}`, tone: p.known ? 'warn' : 'bad', what: `Mesh ${p.name} does not answer`, why: p.error ?? '', remedy: p.known ? 'What it said last holds.' : undefined, link: '/mesh', since: p.since })
  if (s.member && !s.member.control.target) list.push({ key: 'control', tone: 'warn', what: 'This proxy has no control plane', why: s.member.control.problem ?? '', remedy: 'It serves what it was given last.', since: s.member.control.since })
  return list
}

function ofAuthority(a: IdentityAuthorityState, now: number): Matter[] {
  return (a.authorities ?? []).flatMap((x): Matter[] =>
    x.signs && x.ends && Date.parse(x.ends) - now < 7 * day ? [{ key: `root ${x.fingerprint}`, tone: 'warn', what: `The ${x.purpose} root of the mesh ends soon`, why: `It ends at ${x.ends}.`, remedy: x.purpose === 'external' ? 'Give the mesh a new intermediate certificate.' : undefined, link: '/mesh' }] : [],
  )
}
