import { useState } from 'react'
import { useEffectOf, useRevision, useRevisions } from '../api/changes'
import type { ObjectsRevision } from '../api/schema.gen'
import { plural } from '../lib/format'
import { keyOf } from '../lib/names'
import { Link, to, useParameter } from '../lib/router'
import { Page } from '../shell'
import { Apply } from '../ui/apply'
import { Diff } from '../ui/diff'
import { Facts, Panel } from '../ui/panel'
import { Ago, ObjectLink, Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Tabs } from './configuration'
import { EffectView, Op } from './effectview'

const columns: Column<ObjectsRevision>[] = [
  { name: 'Revision', by: (r) => r.number, of: (r) => <Link to={to('configuration', 'revisions', String(r.number))}>{r.number}</Link> },
  { name: 'When', by: (r) => r.at, of: (r) => <Ago at={r.at} /> },
  { name: 'Who', by: (r) => r.by, of: (r) => r.by },
  { name: 'By', minor: true, by: (r) => r.source, of: (r) => <span className="quiet">{sourceWord(r)}</span> },
  {
    name: 'What', grow: true,
    of: (r) => {
      const list = r.changes ?? []
      return (
        <>
          {r.message && <span>{r.message}</span>}
          <span className="sub">
            {list.slice(0, 3).map((c) => `${c.kind} ${c.name} ${c.op}`).join(', ')}
            {list.length + (r.omitted ?? 0) > 3 && ` and ${list.length + (r.omitted ?? 0) - 3} more`}
          </span>
        </>
      )
    },
  },
]

const sourceWord = (r: ObjectsRevision) => (r.source === 'files' ? 'files' : 'the admin API')

/** Revisions is what has changed, by the API and in files. */
export function Revisions() {
  const [object, setObject] = useParameter('object')
  const [before, setBefore] = useParameter('before')
  const list = useRevisions({ limit: 100, object: /^[^/]+\/[^/]+(\/[^/]+)?$/.test(object) ? object : undefined, before: Number(before) || undefined })
  return (
    <Page title="Revisions" about="What has changed in the configuration, by the admin API and in files.">
      <Tabs />
      <div className="filters">
        <Search value={object} set={setObject} label="Of an object: Kind/namespace/name" />
        {before && (
          <button type="button" className="button" onClick={() => setBefore('')}>
            The latest
          </button>
        )}
      </div>
      <Panel title="Revisions" flush>
        <Shown of={list} what="revisions">
          {(rows) => (
            <>
              <Table label="Revisions" columns={columns} rows={rows} rowKey={(r) => String(r.number)} first="-Revision" empty={<Empty title="There is no revision">Nothing has changed since the process began, or what has is not kept any more.</Empty>} />
              {rows.length === 100 && (
                <button type="button" className="more" onClick={() => setBefore(String(Math.min(...rows.map((r) => r.number))))}>
                  Earlier ones
                </button>
              )}
            </>
          )}
        </Shown>
      </Panel>
    </Page>
  )
}

/** RevisionPage is one of them, with each object before and after it. */
export function RevisionPage({ number }: { number: number }) {
  const revision = useRevision(number)
  const [beside, setBeside] = useParameter('view')
  const [back, setBack] = useState(false)
  return (
    <Page
      title={`Revision ${number}`}
      crumbs={[['Configuration', '/configuration'], ['Revisions', '/configuration/revisions']]}
      actions={
        <button type="button" className="button" aria-pressed={beside === 'beside'} onClick={() => setBeside(beside ? '' : 'beside')}>
          Side by side
        </button>
      }
    >
      <Shown of={revision} what="revision">
        {(r) => (
          <div className="columns">
            <div className="span-8 stack">
              {(r.changes ?? []).map((c) => {
                const key = keyOf(c)
                return (
                  <Panel key={key} title={key} note={c.place} flush actions={<Op of={c.op} />}>
                    {c.before || c.after ? <Diff before={c.before ?? ''} after={c.after ?? ''} label={`How ${key} has changed`} beside={beside === 'beside'} /> : <Empty title="The texts are not known any more" />}
                  </Panel>
                )
              })}
              {(r.omitted ?? 0) > 0 && <p className="hint">{plural(r.omitted!, 'change')} of files that were too many or too long are not kept.</p>}
            </div>
            <div className="span-4 stack">
              <Panel title="About">
                <Facts
                  of={[
                    ['When', <Ago key="at" at={r.at} />],
                    ['Who', r.by],
                    ['By', sourceWord(r)],
                    ['Why', r.message || '–'],
                    ['Objects', (r.changes ?? []).slice(0, 12).map((c) => <div key={keyOf(c)}><ObjectLink of={keyOf(c)} /></div>)],
                  ]}
                />
              </Panel>
              <Panel title="Roll back">
                {r.source === 'files' ? (
                  <p className="hint">It is a change of files: put them back where they come from{r.changes?.[0]?.place ? `, as ${r.changes[0].place}` : ''}.</p>
                ) : back ? (
                  <Rollback number={number} />
                ) : (
                  <>
                    <p className="hint">Makes the managed objects what they were after this revision, in a new one. What that would do is shown first.</p>
                    <button type="button" className="button" onClick={() => setBack(true)}>
                      Show what it would do
                    </button>
                  </>
                )}
              </Panel>
            </div>
          </div>
        )}
      </Shown>
    </Page>
  )
}

function Rollback({ number }: { number: number }) {
  const effect = useEffectOf({ rollback: number })
  const { data: latest } = useRevisions({ limit: 1 })
  return (
    <>
      <Shown of={effect} what="effect">{(e) => <EffectView of={e} />}</Shown>
      <Apply change={{ rollback: number }} effect={effect.data} word={`Roll back to ${number}`} expect={latest?.[0]?.number} />
    </>
  )
}
