import { type ReactNode, useEffect, useRef, useState } from 'react'
import { every, useAuthority, useStatus, useTop, useWhoami } from './api/queries'
import { logout, pageKey } from './api/session'
import { useLately } from './api/signals'
import { mattersOf } from './lib/attention'
import { troublesOf } from './lib/trouble'
import { useNow } from './lib/clock'
import { Link, segments, usePath } from './lib/router'
import { setTheme, type Theme, useTheme } from './lib/theme'
import { Badge } from './ui/badge'
import { Icon, type IconName } from './ui/icon'
import { Ago } from './ui/small'

const pages: [string, string, IconName][] = [
  ['overview', 'Overview', 'overview'],
  ['graph', 'Graph', 'graph'],
  ['routes', 'Routes', 'routes'],
  ['services', 'Services', 'services'],
  ['traces', 'Traces', 'traces'],
  ['configuration', 'Configuration', 'configuration'],
  ['mesh', 'Mesh', 'mesh'],
  ['explain', 'Explain', 'explain'],
  ['access', 'Access', 'lock'],
]

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#2b50c8" />
      <path d="M8 24V14a8 8 0 0 1 16 0v10M16 24v-9M3 19h10m6 0h10" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
    </svg>
  )
}

/** useMatters is what needs attention, on every page: of the process, of its configuration, and of all traffic. */
export function useMatters() {
  const now = useNow()
  const status = useStatus()
  const authority = useAuthority()
  const lately = useLately()
  return mattersOf(status.data, authority.data, now, troublesOf(lately.now.data, lately.hour.data))
}

export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false)
  const at = usePath()
  const first = (segments(at)[0] ?? 'overview').replace('requests', 'traces')
  useTop(every.calm) // so that charts have a past on whichever page they are
  useEffect(() => setOpen(false), [at])
  useEffect(() => {
    const close = (e: KeyboardEvent) => e.key === 'Escape' && setOpen(false)
    window.addEventListener('keydown', close)
    return () => window.removeEventListener('keydown', close)
  }, [])
  return (
    <div className="shell">
      <a className="skip" href="#main">
        To the content
      </a>
      <div className="bar">
        <button type="button" className="button bare" aria-expanded={open} aria-controls="side" onClick={() => setOpen(!open)}>
          <Icon name="menu" />
          <span className="hidden">Menu</span>
        </button>
        <b>{pages.find((p) => p[0] === first)?.[1] ?? 'Gridway'}</b>
      </div>
      {open && <button type="button" className="veil" aria-label="Close the menu" onClick={() => setOpen(false)} />}
      <aside id="side" className={open ? 'side open' : 'side'}>
        <Link to="/" className="brand">
          <Mark /> Gridway
        </Link>
        <nav aria-label="Pages">
          <ul>
            {pages.map(([path, name, icon]) => (
              <li key={path}>
                <Link to={path === 'overview' ? '/' : `/${path}`} aria-current={first === path ? 'page' : undefined}>
                  <Icon name={icon} />
                  {name}
                  {path === 'overview' && <Count />}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <Foot />
      </aside>
      <main id="main" tabIndex={-1}>
        <Silence />
        {children}
      </main>
    </div>
  )
}

function Count() {
  const matters = useMatters().filter((m) => m.tone !== 'info')
  if (!matters.length) return null
  return (
    <Badge tone={matters[0]!.tone}>
      {matters.length}
      <span className="hidden"> need attention</span>
    </Badge>
  )
}

/** Silence says that what is shown is of the past. */
function Silence() {
  const { error, data } = useStatus()
  if (!error || error.status !== 0 || !data) return null
  return (
    <p className="notice" role="alert">
      <Icon name="bad" /> The process does not answer. What is shown is from before; it is asked again by itself.
    </p>
  )
}

function Foot() {
  const { data: s } = useStatus()
  const { data: me } = useWhoami()
  return (
    <div className="foot">
      {s && (
        <div className="standing">
          <span>
            <b>Revision {s.revision.number}</b> <Ago at={s.revision.at} />
          </span>
          {s.mesh && (
            <span>
              {s.mesh.serving} of {s.mesh.proxies.length} proxies serve it
            </span>
          )}
          {s.member && <span>{s.member.name}</span>}
          <span>
            {s.version}, up since <Ago at={s.started} />
          </span>
        </div>
      )}
      {me && (
        <div className="who">
          <span className="name" title={me.name}>
            {me.name.replace(/ \(.*\)$/, '')} <span className="quiet">({me.role})</span>
          </span>
          {pageKey() && (
            <button type="button" className="button bare" title="Log out" onClick={() => void logout()}>
              <Icon name="out" />
              <span className="hidden">Log out</span>
            </button>
          )}
        </div>
      )}
      <Themes />
    </div>
  )
}

const themes: [Theme, string, IconName][] = [
  ['auto', 'As the system', 'auto'],
  ['light', 'Light', 'light'],
  ['dark', 'Dark', 'dark'],
]

function Themes() {
  const theme = useTheme()
  return (
    <div className="themes" role="radiogroup" aria-label="Colours">
      {themes.map(([value, name, icon]) => (
        <label key={value} title={name}>
          <input type="radio" name="theme" value={value} checked={theme === value} onChange={() => setTheme(value)} aria-label={name} />
          <Icon name={icon} />
        </label>
      ))}
    </div>
  )
}

interface PageProps {
  title: string
  /** label is drawn instead of the title, if it is not only text. */
  label?: ReactNode
  about?: ReactNode
  crumbs?: [string, string][]
  actions?: ReactNode
  children: ReactNode
}

/** Page is what every page begins with. Its heading gets the focus, so that a screen reader says where one is. */
export function Page({ title, label, about, crumbs, actions, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  const arrived = useRef(false)
  useEffect(() => {
    document.title = `${title} – Gridway`
  }, [title])
  useEffect(() => {
    if (arrived.current) return
    arrived.current = true
    if (document.activeElement && document.activeElement !== document.body) heading.current?.focus({ preventScroll: true })
  }, [])
  return (
    <>
      <div className="head">
        {crumbs && (
          <nav className="crumbs" aria-label="Above this page">
            {crumbs.map(([name, path]) => (
              <span key={path}>
                <Link to={path}>{name}</Link> /
              </span>
            ))}
          </nav>
        )}
        <h1 ref={heading} tabIndex={-1}>
          {label ?? title}
        </h1>
        {actions && <div className="actions">{actions}</div>}
        {about && <div className="about">{about}</div>}
      </div>
      {children}
    </>
  )
}
