import { useMemo } from 'react'
import { folded, lineDiff } from '../lib/linediff'

/** Diff is how a text became another one, line by line; side by side where there is room and somebody wants it. */
export function Diff({ before, after, label, beside }: { before: string; after: string; label: string; beside?: boolean }) {
  const lines = useMemo(() => folded(lineDiff(before, after)), [before, after])
  if (!lines.some((l) => l.op === 'added' || l.op === 'removed')) return <p className="hint">Nothing is different.</p>
  return (
    <div className={beside ? 'diff beside' : 'diff'} role="region" tabIndex={0} aria-label={label}>
      <table>
        <thead className="hidden">
          <tr>
            <th>Line before</th>
            <th>Line after</th>
            <th>Text</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((l, i) =>
            l.op === 'gap' ? (
              <tr key={i} className="gap">
                <td colSpan={3}>{l.lines === 1 ? '1 line that is the same' : `${l.lines} lines that are the same`}</td>
              </tr>
            ) : (
              <tr key={i} className={l.op}>
                <td className="at">{l.old}</td>
                <td className="at">{l.new}</td>
                <td className="text">
                  <span className="op" aria-hidden="true">
                    {l.op === 'added' ? '+' : l.op === 'removed' ? '−' : ' '}
                  </span>
                  {l.op !== 'same' && <span className="hidden">{l.op}: </span>}
                  <code>{l.text || ' '}</code>
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </div>
  )
}
