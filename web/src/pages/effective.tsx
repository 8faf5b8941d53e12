import { useDeferredValue } from 'react'
import { useConfig } from '../api/queries'
import { useParameter } from '../lib/router'
import { Page } from '../shell'
import { Panel } from '../ui/panel'
import { Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { Tree } from '../ui/tree'
import { Tabs } from './configuration'

/** Effective is what the objects were compiled to: what the data plane runs. */
export function Effective() {
  const config = useConfig()
  const [text, setText] = useParameter('q')
  const needle = useDeferredValue(text.toLowerCase())
  return (
    <Page title="Effective configuration" about="What the objects come to: what the data plane runs. Secrets are hidden.">
      <Tabs />
      <div className="filters">
        <Search value={text} set={setText} label="Anything that an item has in it" />
      </div>
      <Shown of={config} what="configuration">
        {(value) => {
          const parts = Object.entries(value as Record<string, unknown>).map(([name, v]) => [name, filtered(v, needle)] as const)
          const shown = parts.filter(([, v]) => v !== undefined)
          if (!shown.length) return <Empty title="Nothing has that in it">Search for less.</Empty>
          return (
            <div className="stack">
              {shown.map(([name, v]) => (
                <Panel key={name} title={name} note={Array.isArray(v) ? String(v.length) : ''} flush>
                  <div className="tree">{v !== null && typeof v === 'object' ? Object.entries(v).slice(0, 200).map(([k, item]) => <Tree key={k} name={k} value={item} open={needle !== '' && Object.keys(v).length < 4} />) : <Tree value={v} />}</div>
                </Panel>
              ))}
            </div>
          )
        }}
      </Shown>
    </Page>
  )
}

/** filtered keeps the items of a list in which the text occurs. */
function filtered(v: unknown, needle: string): unknown {
  if (!needle) return v
  const has = (x: unknown) => JSON.stringify(x).toLowerCase().includes(needle)
  if (!Array.isArray(v)) return has(v) ? v : undefined
  const list = v.filter(has)
  return list.length ? list : undefined
}
