import { useParameter } from '../lib/router'

const windows = { '15m': 'last 15 minutes', '1h': 'last hour', '6h': 'last 6 hours', '24h': 'last 24 hours' }

/** useWindow is how far back charts go; it is in the address. */
export function useWindow(): [string, (value: string) => void] {
  const [value, set] = useParameter('window')
  return [value in windows ? value : '15m', (v) => set(v === '15m' ? '' : v)]
}

export const Window = ({ value, set }: { value: string; set: (v: string) => void }) => (
  <label className="inline">
    <span className="hidden">Time of charts</span>
    <select value={value} onChange={(e) => set(e.target.value)}>
      {Object.entries(windows).map(([v, name]) => (
        <option key={v} value={v}>
          {name}
        </option>
      ))}
    </select>
  </label>
)
