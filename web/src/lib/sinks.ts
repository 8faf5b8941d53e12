import type { SinkSignal, SinkStatus } from '../api/schema.gen'
import { count } from './format'

/** lostOf says what of a signal was lost, by reasons; empty is nothing. */
export const lostOf = (n: SinkSignal): string =>
  Object.entries(n.lost ?? {})
    .filter(([, lost]) => lost > 0)
    .sort()
    .map(([reason, lost]) => `${count(lost)} ${reason}`)
    .join(', ')

/** lostBy says what a sink has lost. */
export const lostBy = (x: SinkStatus): string =>
  x.signals
    .map((n) => [n.signal, lostOf(n)] as const)
    .filter(([, lost]) => lost)
    .map(([signal, lost]) => `${signal} lost: ${lost}`)
    .join('; ')
