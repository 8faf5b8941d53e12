import { useSyncExternalStore } from 'react'

const subscribe = (f: () => void) => {
  document.addEventListener('visibilitychange', f)
  return () => document.removeEventListener('visibilitychange', f)
}

/** useHidden tells that nobody can see the page: another tab is before it. */
export const useHidden = (): boolean => useSyncExternalStore(subscribe, () => document.visibilityState === 'hidden')
