import { type ReactNode, useId } from 'react'

interface PanelProps {
  title: string
  note?: ReactNode
  actions?: ReactNode
  children: ReactNode
  /** flush leaves out the padding, for tables. */
  flush?: boolean
  className?: string
}

/** Panel is a part of a page with a heading. */
export function Panel({ title, note, actions, children, flush, className }: PanelProps) {
  const id = useId()
  return (
    <section className={`panel ${className ?? ''}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span className="note">{note}</span>}
        {actions && <div className="actions">{actions}</div>}
      </header>
      <div className={flush ? 'body flush' : 'body'}>{children}</div>
    </section>
  )
}

/** Stat is one number with its name. */
export function Stat({ name, value, unit, note, children }: { name: string; value: ReactNode; unit?: string; note?: ReactNode; children?: ReactNode }) {
  return (
    <div className="stat">
      <dt>{name}</dt>
      <dd>
        <span className="value">{value}</span>
        {unit && <span className="unit"> {unit}</span>}
        {note && <span className="note">{note}</span>}
        {children}
      </dd>
    </div>
  )
}

export const Stats = ({ children, label }: { children: ReactNode; label: string }) => (
  <dl className="stats" aria-label={label}>
    {children}
  </dl>
)

/** Facts are names and values, one to a line. */
export function Facts({ of }: { of: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
