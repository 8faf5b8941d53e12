import { useEffect, useMemo, useState } from 'react'
import { useEffectOf, useRevisions, useSchemas } from '../api/changes'
import { useManifest, useObject, useObjects } from '../api/queries'
import { keyOf, wholePlace } from '../lib/names'
import { navigate, to, useParameter } from '../lib/router'
import { templateOf } from '../lib/template'
import { Page } from '../shell'
import { Apply } from '../ui/apply'
import { Kind } from '../ui/badge'
import Editor, { type Mark } from '../ui/editor'
import { Panel } from '../ui/panel'
import { Fault, Loading, Shown } from '../ui/state'
import { EffectView } from './effectview'
import { valueOf } from './object'


/** useLater is a value that has not changed for a while, in milliseconds. */
function useLater<T>(value: T, wait: number): T {
  const [later, setLater] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), wait)
    return () => clearTimeout(timer)
  }, [value, wait])
  return later
}

const debounce = 500

// What the API puts in the place of credentials.
const hidden = /\(hidden\b/

/** Write is the editor beside the effect of what is in it. */
function Write({ begin, label, place }: { begin: string; label: string; place?: string }) {
  const [text, setText] = useState(begin)
  useEffect(() => setText(begin), [begin])
  const later = useLater(text, debounce)
  const effect = useEffectOf({ text: later }, later.trim() !== '')
  const { data: schemas } = useSchemas()
  const { data: objects } = useObjects()
  const { data: revisions } = useRevisions({ limit: 1 })
  const names = useMemo(() => {
    const m = new Map<string, string[]>()
    for (const o of objects ?? []) m.set(o.kind, [...(m.get(o.kind) ?? []), o.name])
    return m
  }, [objects])
  const now = text === later && !effect.isPlaceholderData ? effect.data : undefined
  const marks = useMemo(
    () => (effect.data?.problems ?? []).filter((p) => !p.place?.file && p.place?.line).map((p): Mark => ({
      line: p.place!.line!, column: p.place!.column, severity: p.severity === 'error' ? 'error' : p.severity === 'warning' ? 'warning' : 'info', message: [p.message, p.remedy].filter(Boolean).join('; '),
    })),
    [effect.data],
  )
  const files = now?.inFiles ?? []
  const why = place
    ? `The object is written at ${place}. Change it there: files hold.`
    : files.length
      ? `${files[0]!.object} is written at ${wholePlace(files[0]!.place)}. Change it there: files hold.`
      : hidden.test(text)
        ? 'There are values that are hidden. Write them anew before you apply it, or they would be lost.'
        : undefined
  return (
    <div className="columns edit">
      <div className="span-7">
        <Panel title="Configuration" note="YAML" flush actions={<Copy text={text} />}>
          <Editor text={begin} label={label} changed={setText} marks={marks} schemas={schemas} names={names} />
        </Panel>
      </div>
      <div className="span-5 stack">
        <Panel title="Effect" note={effect.isFetching || text !== later ? 'is being reckoned' : 'nothing is changed yet'}>
          {effect.error ? <Fault problem={effect.error} what="effect" /> : effect.data ? <EffectView of={effect.data} /> : <Loading what="effect" />}
        </Panel>
        <Panel title="Apply">
          <Apply change={{ text }} effect={now} word="Apply" why={why} expect={revisions?.[0]?.number} />
        </Panel>
      </div>
    </div>
  )
}

function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false)
  return (
    <button type="button" className="button" onClick={() => void navigator.clipboard.writeText(text).then(() => setDone(true), () => setDone(false))}>
      {done ? 'Copied' : 'Copy'}
    </button>
  )
}

/** shownText is an object as one would write it: without what others have put there. */
export function shownText(yaml: string): string {
  const lines = valueOf(yaml).split('\n')
  const status = lines.findIndex((l) => /^status:/.test(l))
  const end = status < 0 ? -1 : lines.slice(status + 1).findIndex((l) => /^\S/.test(l))
  if (status >= 0) lines.splice(status, end < 0 ? lines.length : end + 1)
  return `${lines.filter((l) => !/^ {2}(creationTimestamp: null|creationTimestamp: "null")$/.test(l)).join('\n').trimEnd()}\n`
}

/** Edit is the page of an object that there is. */
export function Edit({ kind, namespace, name }: { kind: string; namespace: string; name: string }) {
  const manifest = useManifest(kind, namespace, name)
  const { data: objects } = useObjects()
  const key = keyOf({ kind, namespace, name })
  const object = objects?.find((o) => keyOf(o) === key)
  const place = object?.source === 'file' ? wholePlace(object.place) : undefined
  // What others do to the object meanwhile must not take away what is being written.
  const [begin, setBegin] = useState<string>()
  // As it was applied, with its comments, if nothing of that is hidden.
  const whole = useObject(kind, namespace, name)
  if (begin === undefined && manifest.data !== undefined && !manifest.isPlaceholderData && !whole.isPending) setBegin(whole.data?.text || shownText(manifest.data))
  return (
    <Page
      title={`Edit ${name}`}
      crumbs={[['Configuration', '/configuration'], [name, to('configuration', kind, namespace || '-', name)]]}
      label={
        <>
          Edit {name} <Kind>{kind}</Kind>
        </>
      }
      about={place && <>It is written at <code>{place}</code> and can only be changed there. What a change would do is shown all the same, and the text can be copied.</>}
    >
      <Shown of={manifest} what="object">
        {() => (begin === undefined ? <Loading what="object" /> : <Write begin={begin} label={`${kind} ${name}`} place={place} />)}
      </Shown>
    </Page>
  )
}

const firstSentence = (text = '') => /^.*?[.](?=\s|$)/.exec(text.replaceAll('\n', ' '))?.[0] ?? text

/** New is the page of an object that there is not yet. */
export function New() {
  const schemas = useSchemas()
  const [kind, setKind] = useParameter('kind')
  return (
    <Page title="New object" crumbs={[['Configuration', '/configuration']]} about="It begins with what its kind needs. Nothing is changed until it is applied.">
      <Shown of={schemas} what="schema">
        {(s) => {
          const chosen = s.of('', kind || 'HTTPRoute')
          return (
            <>
              <div className="filters">
                <label>
                  Kind{' '}
                  <select value={chosen?.kind} onChange={(e) => setKind(e.target.value)}>
                    {[...new Set(s.kinds.map((k) => k.kind))].map((k) => (
                      <option key={k}>{k}</option>
                    ))}
                  </select>
                </label>
                <span className="quiet">{firstSentence(chosen?.schema.description)}</span>
              </div>
              {chosen && <Write key={chosen.kind} begin={templateOf(s, chosen)} label={`New ${chosen.kind}`} />}
            </>
          )
        }}
      </Shown>
    </Page>
  )
}

/** Remove is the page that takes an object away. */
export function Remove({ kind, namespace, name }: { kind: string; namespace: string; name: string }) {
  const key = keyOf({ kind, namespace, name })
  const [gone, setGone] = useState(false)
  const effect = useEffectOf({ gone: [key] }, !gone)
  const file = effect.data?.inFiles[0]
  return (
    <Page title={`Delete ${name}`} crumbs={[['Configuration', '/configuration'], [name, to('configuration', kind, namespace || '-', name)]]}>
      <div className="columns">
        <div className="span-7">
          <Panel title="Effect" note="nothing is changed yet">
            <Shown of={effect} what="effect">{(e) => <EffectView of={e} />}</Shown>
          </Panel>
        </div>
        <div className="span-5">
          <Panel title="Delete">
            <Apply change={{ gone: [key] }} effect={effect.data} word={`Delete ${name}`} why={file && `It is written at ${wholePlace(file.place)}. Take it out there: files hold.`} done={() => setGone(true)} />
            {gone && (
              <button type="button" className="button" onClick={() => navigate('/configuration')}>
                To the objects
              </button>
            )}
          </Panel>
        </div>
      </div>
    </Page>
  )
}
