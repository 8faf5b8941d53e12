import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react'

// The pages are few: a path is split at its slashes, and the address is the only state.
const base = '/console'
const listeners = new Set<() => void>()
const tell = () => listeners.forEach((f) => f())
window.addEventListener('popstate', tell)

function subscribe(f: () => void): () => void {
  listeners.add(f)
  return () => listeners.delete(f)
}

export function navigate(to: string, replace = false): void {
  if (replace) history.replaceState(null, '', base + to)
  else history.pushState(null, '', base + to)
  tell()
}

const path = () => location.pathname.slice(base.length) || '/'
const search = () => location.search

/** usePath is where we are: "/routes/HTTPRoute/default/cart". */
export const usePath = (): string => useSyncExternalStore(subscribe, path)

export const segments = (at: string): string[] => at.split('/').filter(Boolean).map(decodeURIComponent)

/** useParameter is one parameter of the address, and what changes it without a step of history. */
export function useParameter(name: string): [string, (value: string) => void] {
  const text = useSyncExternalStore(subscribe, search)
  const set = (value: string) => {
    const q = new URLSearchParams(location.search)
    if (value) q.set(name, value)
    else q.delete(name)
    const rest = q.toString()
    navigate(path() + (rest ? `?${rest}` : ''), true)
  }
  return [new URLSearchParams(text).get(name) ?? '', set]
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { to: string }

/** Link goes to a page without loading it anew; keys and buttons for new tabs work as ever. */
export function Link({ to, onClick, ...rest }: LinkProps) {
  const click = (e: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(e)
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
    e.preventDefault()
    navigate(to)
    window.scrollTo(0, 0)
  }
  return <a href={base + to} onClick={click} {...rest} />
}

export const to = (...parts: string[]): string => '/' + parts.map(encodeURIComponent).join('/')
