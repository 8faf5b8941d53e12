import { keepPreviousData, type QueryKey, useQuery } from '@tanstack/react-query'
import { Schemas } from '../lib/schema'
import { change, getAs, postYAML, type Problem, withQuery } from './client'
import { type Answer, every, queries, useMaybe } from './queries'
import type { Effect, ObjectsApplied, ObjectsRevision } from './schema.gen'

/** Change is what somebody wants to have done: objects written, objects taken away, or an earlier revision. */
export interface Change {
  text?: string
  gone?: string[]
  rollback?: number
}

/** effectOf asks what a change would do. */
export function effectOf(c: Change, signal?: AbortSignal): Promise<Effect> {
  const q = new URLSearchParams()
  for (const name of c.gone ?? []) q.append('delete', name)
  if (c.rollback !== undefined) q.set('rollback', String(c.rollback))
  const query = q.toString()
  return postYAML('/v1/effect' + (query ? `?${query}` : ''), c.text ?? '', signal)
}

/** useEffectOf asks what a change would do, each time that it is another one. */
export const useEffectOf = (c: Change, enabled = true): Answer<Effect> =>
  useQuery<Effect, Problem>({
    queryKey: ['effect', c], queryFn: ({ signal }) => effectOf(c, signal), enabled, staleTime: 5000, gcTime: 10_000, placeholderData: keepPreviousData, retry: false,
  })

/** make has a change made. Expect is the newest revision that was known when it was thought of. */
export function make(c: Change, message: string, expect?: number): Promise<ObjectsApplied> {
  const query = { message, expect }
  if (c.rollback !== undefined) return change('POST', withQuery(`/v1/revisions/${c.rollback}/rollback`, query))
  if (c.gone?.length) {
    const [kind, ...rest] = c.gone[0]!.split('/')
    const [namespace, name] = rest.length > 1 ? [rest[0]!, rest.slice(1).join('/')] : ['-', rest[0]!]
    return change('DELETE', withQuery(`/v1/objects/${[kind!, namespace, name].map(encodeURIComponent).join('/')}`, query))
  }
  return postYAML(withQuery('/v1/apply', query), c.text ?? '')
}

/** changed has everything asked anew that a change may have made another. */
export function changed(): void {
  const concerned = (key: QueryKey) => typeof key[0] === 'string' && (key[0] === 'manifest' || /^\/v1\/(objects|status|revisions|routes|config|clusters)/.test(key[0]))
  void queries.invalidateQueries({ predicate: (q) => concerned(q.queryKey) })
}

export const useRevisions = (query: { before?: number; object?: string; limit?: number } = {}): Answer<ObjectsRevision[]> => useMaybe('/v1/revisions', { ...query }, every.calm)

export const useRevision = (number: number): Answer<ObjectsRevision> => useMaybe(`/v1/revisions/${number}`, {}, false)

/** useSchemas has what may be written; it is asked for once. */
export const useSchemas = (): Answer<Schemas> =>
  useQuery<Schemas, Problem>({ queryKey: ['/v1/schema'], queryFn: async ({ signal }) => new Schemas(await getAs('/v1/schema', undefined, signal)), staleTime: Infinity, gcTime: Infinity })
