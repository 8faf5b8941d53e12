import type { ReactNode } from 'react'
import { Icon } from './icon'

export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'muted'

/** Badge is a state in a word. The icon says the same as the colour. */
export function Badge({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`badge ${tone}`} title={title}>
      <Icon name={tone} size={12} />
      {children}
    </span>
  )
}

/** Kind is the kind of an object, quiet beside its name. */
export const Kind = ({ children }: { children: ReactNode }) => <span className="kind">{children}</span>
