import type { Condition, ObjectStatus } from '../api/schema.gen'
import type { Tone } from '../ui/badge'

// Conditions of the Gateway API that are good news when they are false.
const negative = new Set(['Conflicted', 'OverlappingTLSConfig', 'PartiallyInvalid', 'InsecureFrontendValidationMode', 'Overridden'])

export function toneOf(c: Condition): Tone {
  if (c.status === 'Unknown') return 'info'
  if ((c.status === 'True') !== negative.has(c.type)) return 'good'
  return c.type === 'Accepted' || c.type === 'ResolvedRefs' ? 'bad' : 'warn'
}

const order: Tone[] = ['bad', 'warn', 'info', 'good', 'muted']

export const worst = (tones: Tone[]): Tone => order.find((t) => tones.includes(t)) ?? 'muted'

/** Verdict is what an object's conditions come to. */
export interface Verdict {
  tone: Tone
  word: string
  /** why is the condition that is behind it, if it is not all well. */
  why?: Condition
  /** served is "3 of 3 proxies serve revision 1". */
  served?: string
}

export function verdictOf(s: ObjectStatus | undefined): Verdict {
  if (!s?.conditions.length) return { tone: 'muted', word: 'No status' }
  const tone = worst(s.conditions.map(toneOf))
  const why = tone === 'good' ? undefined : s.conditions.find((c) => toneOf(c) === tone)
  const served = s.conditions.find((c) => c.type.endsWith('/Distributed') && c.message)?.message
  return { tone, word: tone === 'good' ? 'In service' : (why?.reason ?? ''), why, served }
}
