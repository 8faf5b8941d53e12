import type { Gets, ObjectsDiagnostic, Posts, Problem as PlaceProblem } from './schema.gen'
import { pageKey } from './session'

/** Problem is an error reply of the API (RFC 9457), or the lack of one: status 0. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly problems: PlaceProblem[] = [],
    readonly errors: ObjectsDiagnostic[] = [],
  ) {
    super(detail || title)
  }
}

type Filled<P extends string> = P extends `${infer Head}/{${string}}${infer Tail}` ? `${Head}/${string}${Filled<Tail>}` : P
type Question = Record<string, string | number | undefined>

const expired = new Set<() => void>()

/** onUnauthorized is called whenever the API asks for a login. */
export function onUnauthorized(f: () => void): () => void {
  expired.add(f)
  return () => expired.delete(f)
}

async function ask(method: string, path: string, body?: unknown, signal?: AbortSignal, accept = 'application/json', media = 'application/json'): Promise<Response> {
  const headers: Record<string, string> = { Accept: accept }
  const key = pageKey()
  if (key) headers['X-Gridway-Page-Key'] = key
  if (body !== undefined) headers['Content-Type'] = media
  let reply: Response
  try {
    reply = await fetch(path, { method, headers, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body), signal, credentials: 'same-origin' })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new Problem(0, 'No answer', 'The process does not answer. It may have been stopped, or the way to it is cut.')
  }
  if (reply.ok) return reply
  if (reply.status === 401 && path !== '/v1/session') for (const f of expired) f()
  throw await problemOf(reply)
}

async function problemOf(reply: Response): Promise<Problem> {
  try {
    const p = (await reply.json()) as { title?: string; detail?: string; problems?: PlaceProblem[]; errors?: ObjectsDiagnostic[] }
    return new Problem(reply.status, p.title ?? reply.statusText, p.detail ?? '', p.problems, p.errors)
  } catch {
    return new Problem(reply.status, reply.statusText || 'Error', `The API answered with status ${reply.status}.`)
  }
}

export function withQuery(path: string, query?: Question): string {
  const q = new URLSearchParams()
  for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== '') q.set(k, String(v))
  const text = q.toString()
  return text ? `${path}?${text}` : path
}

/** get asks for a path whose reply is known by its template. */
export async function get<P extends keyof Gets & string>(_template: P, path: Filled<P> | P, query?: Question, signal?: AbortSignal): Promise<Gets[P]> {
  return (await ask('GET', withQuery(path, query), undefined, signal)).json() as Promise<Gets[P]>
}

/** getAs asks for a path that the process may not have. */
export async function getAs<T>(path: string, query?: Question, signal?: AbortSignal): Promise<T> {
  return (await ask('GET', withQuery(path, query), undefined, signal)).json() as Promise<T>
}

export async function getText(path: string, accept: string, signal?: AbortSignal): Promise<string> {
  return (await ask('GET', path, undefined, signal, accept)).text()
}

/** stream reads a reply of lines for as long as it lasts. */
export async function stream(path: string, query: Question, signal: AbortSignal, line: (text: string) => void): Promise<void> {
  const reply = await ask('GET', withQuery(path, query), undefined, signal, 'application/x-ndjson')
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) if (text) line(text)
  }
}

export async function post<P extends keyof Posts & string>(path: P, body: Posts[P]['takes'], signal?: AbortSignal): Promise<Posts[P]['gives']> {
  return (await ask('POST', path, body, signal)).json() as Promise<Posts[P]['gives']>
}

/** postYAML sends a text of objects. */
export async function postYAML<T>(path: string, text: string, signal?: AbortSignal): Promise<T> {
  return (await ask('POST', path, text, signal, 'application/json', 'application/yaml')).json() as Promise<T>
}

/** change asks for a change that needs no body. */
export async function change<T>(method: 'POST' | 'DELETE', path: string): Promise<T> {
  return (await ask(method, path)).json() as Promise<T>
}

export async function remove(path: string): Promise<void> {
  await ask('DELETE', path)
}
