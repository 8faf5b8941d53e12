import { useState } from 'react'

/** Tree is a value of JSON that can be folded. What is folded is not drawn: a configuration may have a million values. */
export function Tree({ value, name, open = false }: { value: unknown; name?: string; open?: boolean }) {
  const [unfolded, setUnfolded] = useState(open)
  if (value === null || typeof value !== 'object')
    return (
      <div className="leaf">
        {name !== undefined && <span className="name">{name}: </span>}
        {JSON.stringify(value)}
      </div>
    )
  const entries = Object.entries(value)
  if (!entries.length)
    return (
      <div className="leaf">
        <span className="name">{name}: </span>
        {Array.isArray(value) ? '[]' : '{}'}
      </div>
    )
  return (
    <details open={unfolded} onToggle={(e) => setUnfolded(e.currentTarget.open)}>
      <summary>
        <span className="name">{name}</span> <span className="quiet">{titleOf(value, entries.length)}</span>
      </summary>
      {unfolded && <Inside entries={entries} />}
    </details>
  )
}

const Inside = ({ entries }: { entries: [string, unknown][] }) => (
  <div>
    {entries.slice(0, 500).map(([k, v]) => (
      <Tree key={k} name={k} value={v} />
    ))}
    {entries.length > 500 && <div className="leaf quiet">and {entries.length - 500} more, which gridway get config shows</div>}
  </div>
)

// What tells items of a list apart is one of these.
function titleOf(value: object, n: number): string {
  for (const key of ['name', 'id', 'address', 'route', 'cluster']) {
    const v = (value as Record<string, unknown>)[key]
    if (typeof v === 'string') return v
  }
  return Array.isArray(value) ? `[${n}]` : `{${n}}`
}
