import { useSyncExternalStore } from 'react'

export type Theme = 'auto' | 'light' | 'dark'

const place = 'gridway-theme'
const listeners = new Set<() => void>()
const system = matchMedia('(prefers-color-scheme: dark)')
system.addEventListener('change', () => listeners.forEach((f) => f()))

const chosen = (): Theme => {
  const t = localStorage.getItem(place)
  return t === 'light' || t === 'dark' ? t : 'auto'
}

export function applyTheme(): void {
  const t = chosen()
  if (t === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = t
}

export function setTheme(t: Theme): void {
  localStorage.setItem(place, t)
  applyTheme()
  listeners.forEach((f) => f())
}

const subscribe = (f: () => void) => {
  listeners.add(f)
  return () => listeners.delete(f)
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, chosen)

/** useDark is whether it is dark now, for what is drawn on a canvas. */
export const useDark = (): boolean => useSyncExternalStore(subscribe, () => (chosen() === 'auto' ? system.matches : chosen() === 'dark'))
