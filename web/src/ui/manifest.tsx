import type { ReactNode } from 'react'

/** Manifest is YAML, with keys and values told apart a little. */
export function Manifest({ text, label }: { text: string; label: string }) {
  return (
    <pre className="manifest" tabIndex={0} role="region" aria-label={label}>
      <code>{text.split('\n').map((line, i) => (
        <span key={i}>
          {coloured(line)}
          {'\n'}
        </span>
      ))}</code>
    </pre>
  )
}

function coloured(line: string): ReactNode {
  const m = /^(\s*(?:- )*)([\w./~-]+)(:)(?:( +)(.*))?$/.exec(line)
  if (!m) return line
  const [, lead, key, colon, gap = '', value = ''] = m
  const kind = /^(true|false|null|-?[\d.]+)$/.test(value) ? 'literal' : value ? 'string' : ''
  return (
    <>
      {lead}
      <span className="key">{key}</span>
      {colon}
      {gap}
      {kind ? <span className={kind}>{value}</span> : value}
    </>
  )
}
