import { type ReactNode, useMemo, useState } from 'react'

export interface Column<T> {
  name: string
  /** of draws the cell. */
  of: (row: T) => ReactNode
  /** by makes the column one to sort by. */
  by?: (row: T) => string | number
  number?: boolean
  /** minor columns are left out where there is no room. */
  minor?: boolean
  grow?: boolean
  /** quiet columns have a head for screen readers alone. */
  quiet?: boolean
}

interface TableProps<T> {
  label: string
  columns: Column<T>[]
  rows: T[]
  rowKey: (row: T) => string
  /** first is the column that it is sorted by until somebody chooses; a "-" before it turns the order. */
  first?: string
  empty?: ReactNode
  /** most bounds how many rows are drawn at once. */
  most?: number
}

export function Table<T>({ label, columns, rows, rowKey, first, empty, most = 200 }: TableProps<T>) {
  const [order, setOrder] = useState(first)
  const [shown, setShown] = useState(most)
  const name = order?.replace(/^-/, '')
  const down = order?.startsWith('-') ?? false
  const sorted = useMemo(() => {
    const by = columns.find((c) => c.name === name)?.by
    if (!by) return rows
    const list = [...rows].sort((a, b) => compare(by(a), by(b)))
    return down ? list.reverse() : list
  }, [rows, columns, name, down])
  if (!rows.length) return <>{empty}</>
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.name} scope="col" className={classes(c)} aria-sort={c.by && c.name === name ? (down ? 'descending' : 'ascending') : undefined}>
                {c.by ? (
                  <button type="button" onClick={() => setOrder(c.name === name ? (down ? c.name : `-${c.name}`) : c.number ? `-${c.name}` : c.name)}>
                    {c.name}
                    <span aria-hidden="true" className="order">
                      {c.name === name ? (down ? '↓' : '↑') : ''}
                    </span>
                  </button>
                ) : c.quiet ? (
                  <span className="hidden">{c.name}</span>
                ) : (
                  c.name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, shown).map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((c) => (
                <td key={c.name} className={classes(c)}>
                  {c.of(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <button type="button" className="more" onClick={() => setShown(shown + most)}>
          {rows.length - shown} more
        </button>
      )}
    </div>
  )
}

const classes = <T,>(c: Column<T>): string | undefined => [c.number && 'number', c.minor && 'minor', c.grow && 'grow'].filter(Boolean).join(' ') || undefined

function compare(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true })
}
