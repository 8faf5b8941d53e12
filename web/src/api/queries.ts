import { keepPreviousData, QueryClient, useQuery, type UseQueryResult } from '@tanstack/react-query'
import { record } from '../lib/history'
import { get, getAs, getText, Problem } from './client'
import type { ConfigObject, Gets } from './schema.gen'

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the process has said is not asked again at once; an answer 4xx is final.
      staleTime: 1000,
      retry: (count, error) => count < 1 && !(error instanceof Problem && error.status >= 400 && error.status < 500),
      placeholderData: keepPreviousData,
      refetchOnWindowFocus: true,
    },
  },
})

export type Answer<T> = UseQueryResult<T, Problem>

/** How often pages ask, in milliseconds. */
export const every = { live: 2000, calm: 5000, rare: 30_000 } as const

function useOne<P extends keyof Gets & string>(path: P, refetchInterval: number, query?: Record<string, string>, enabled = true): Answer<Gets[P]> {
  return useQuery<Gets[P], Problem>({ queryKey: [path, query], queryFn: ({ signal }) => get(path, path, query, signal), refetchInterval, enabled })
}

export const useStatus = () => useOne('/v1/status', every.calm)
export const useRoutes = () => useOne('/v1/routes', every.rare)
export const useClusters = (interval: number = every.calm) => useOne('/v1/clusters', interval)
export const useObjects = () => useOne('/v1/objects', every.rare)
export const useWhoami = () => useOne('/v1/whoami', every.rare)
export const useAudit = () => useOne('/v1/audit', every.rare, { limit: '12' })
export const useAuthority = () => useOne('/v1/mesh/authority', every.rare)
export const useIdentities = () => useOne('/v1/mesh/identities', every.rare)
export const useDenials = () => useOne('/v1/mesh/denials', every.rare)
export const useJoinTokens = (enabled: boolean) => useOne('/v1/mesh/tokens', every.rare, undefined, enabled)
export const useSessions = () => useOne('/v1/sessions', every.rare)
export const useTokens = (enabled: boolean) => useOne('/v1/tokens', every.rare, undefined, enabled)
export const useChanges = (query: Record<string, string>, enabled: boolean) => useOne('/v1/audit', every.rare, query, enabled)
export const useConsumers = () => useOne('/v1/consumers', every.rare, { limit: '1000' })
export const useConfig = () => useOne('/v1/config', every.rare)

/** useTop also keeps what it has seen, for charts of the last minutes. */
export function useTop(interval: number = every.live): Answer<Gets['/v1/top']> {
  return useQuery<Gets['/v1/top'], Problem>({
    queryKey: ['/v1/top'],
    queryFn: async ({ signal }) => {
      const s = await get('/v1/top', '/v1/top', undefined, signal)
      record(s)
      return s
    },
    refetchInterval: interval,
  })
}

export const objectPath = (kind: string, namespace: string, name: string) =>
  `/v1/objects/${encodeURIComponent(kind)}/${encodeURIComponent(namespace || '-')}/${encodeURIComponent(name)}` as const

export function useManifest(kind: string, namespace: string, name: string): Answer<string> {
  return useQuery<string, Problem>({
    queryKey: ['manifest', kind, namespace, name],
    queryFn: ({ signal }) => getText(objectPath(kind, namespace, name), 'application/yaml', signal),
    refetchInterval: every.rare,
  })
}

/** useObject is an object with its value and, if it is managed, the text that it was applied as. */
export function useObject(kind: string, namespace: string, name: string): Answer<ConfigObject> {
  return useQuery<ConfigObject, Problem>({
    queryKey: ['object', kind, namespace, name],
    queryFn: ({ signal }) => getAs<ConfigObject>(objectPath(kind, namespace, name), {}, signal),
  })
}

// What a process does not have, it will hardly have soon.
const missing = (p: Problem | null): boolean => p?.status === 404 || p?.status === 409

/** useMaybe asks for a path that not every process has. */
export function useMaybe<T>(path: string, query: Record<string, string | number | undefined>, refetchInterval: number | false, enabled = true): Answer<T> {
  return useQuery<T, Problem>({ queryKey: [path, query], queryFn: ({ signal }) => getAs<T>(path, query, signal), refetchInterval: (q) => (refetchInterval && missing(q.state.error) ? every.rare : refetchInterval), enabled })
}
