import { useSyncExternalStore } from 'react'

// One timer for all that says "3 min ago".
const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(f: () => void): () => void {
  listeners.add(f)
  timer ??= setInterval(() => {
    now = Date.now()
    listeners.forEach((g) => g())
  }, 5000)
  return () => {
    listeners.delete(f)
    if (!listeners.size) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

export const useNow = (): number => useSyncExternalStore(subscribe, () => now)
