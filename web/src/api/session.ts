import { post, remove } from './client'

// Half of a session: without the cookie, which no script can read, it opens nothing.
const place = 'gridway-page-key'

export const pageKey = (): string | null => localStorage.getItem(place)

export async function login(token: string): Promise<void> {
  const session = await post('/v1/session', { token: token.trim() })
  localStorage.setItem(place, session.pageKey)
}

export async function logout(): Promise<void> {
  try {
    await remove('/v1/session')
  } finally {
    localStorage.removeItem(place)
  }
}

/** tokenOfLink takes a token out of the address, where `gridway demo` puts one. */
export function tokenOfLink(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (!token) return undefined
  history.replaceState(null, '', location.pathname + location.search)
  return token
}
