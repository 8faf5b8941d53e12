import { navigate } from '../lib/router'
import { get, post, removeAs } from './client'
import type { Ended, Session, Ways } from './schema.gen'

// Half of a session: without the cookie, which no script can read, it opens nothing.
const place = 'gridway-page-key'
// Where somebody was who has gone to log in elsewhere. Not of the tab, which browsers may
// take for another one when it comes back.
const before = 'gridway-before-login'

export const pageKey = (): string | null => localStorage.getItem(place)

const keep = (session: Session) => localStorage.setItem(place, session.pageKey)

export async function login(token: string): Promise<void> {
  keep(await post('/v1/session', { token: token.trim() }))
}

/** logout ends the session, also at the provider, and begins anew; everywhere is in other browsers, too. */
export async function logout(everywhere = false): Promise<void> {
  let next: string | undefined
  try {
    next = (await removeAs<Ended>(`/v1/session${everywhere ? '?everywhere=true' : ''}`)).next
  } finally {
    localStorage.removeItem(place)
    if (next) location.assign(next)
    else location.reload()
  }
}

export const ways = (): Promise<Ways> => get('/v1/login', '/v1/login')

/** goToProvider leaves for the OpenID provider, which leads back to the page "/login". */
export async function goToProvider(): Promise<void> {
  const { next } = await post('/v1/login/oidc', {})
  localStorage.setItem(before, location.pathname + location.search)
  location.assign(next)
}

/** answered tells whether the provider has led somebody back. */
const answered = (): boolean => location.pathname === '/console/login' && new URLSearchParams(location.search).has('state')

let coming: Promise<void> | undefined

/** comeBack ends a login with what the provider has put into the address, if it has, and goes where somebody was. */
export function comeBack(): Promise<void> | undefined {
  if (!coming && answered()) coming = end(new URLSearchParams(location.search))
  return coming
}

async function end(q: URLSearchParams): Promise<void> {
  // Only a page of the console, whatever else has written there.
  const was = /^\/console(\/(?!login\b).*)$/.exec(localStorage.getItem(before) ?? '')
  localStorage.removeItem(before)
  // The address is good for once, and nothing to be kept or sent.
  navigate(was?.[1] ?? '/', true)
  const one = (name: string) => q.get(name) ?? undefined
  keep(await post('/v1/session/oidc', { state: q.get('state') ?? '', code: one('code'), iss: one('iss'), error: one('error') }))
}

/** tokenOfLink takes a token out of the address, where `gridway demo` puts one. */
export function tokenOfLink(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (!token) return undefined
  history.replaceState(null, '', location.pathname + location.search)
  return token
}
