import { change } from '../api/client'
import { objectPath, useManifest, useObjects, useStatus, useWhoami } from '../api/queries'
import type { Condition } from '../api/schema.gen'
import { toneOf, verdictOf } from '../lib/judge'
import { keyOf, wholePlace } from '../lib/names'
import { Link, to } from '../lib/router'
import { Page } from '../shell'
import { Action, may } from '../ui/action'
import { Badge, Kind } from '../ui/badge'
import { Manifest } from '../ui/manifest'
import { Facts, Panel } from '../ui/panel'
import { ObjectLink, Where } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'

const columns: Column<Condition>[] = [
  { name: 'Of', by: (c) => c.of ?? '', of: (c) => (c.of ? /^\w+\/[^/]+\/[^/]+$/.test(c.of) ? <ObjectLink of={c.of} /> : c.of : <span className="quiet">the object</span>) },
  { name: 'Condition', by: (c) => c.type, of: (c) => c.type.replace('gridway.dev/', '') },
  { name: 'State', by: (c) => c.status, of: (c) => <Badge tone={toneOf(c)}>{c.status}</Badge> },
  {
    name: 'Why',
    grow: true,
    of: (c) => (
      <>
        {c.reason}
        {c.message && <span className="sub">{c.message}</span>}
      </>
    ),
  },
]

/** valueOf takes the object out of what the API says about it. */
export function valueOf(yaml: string): string {
  const lines = yaml.split('\n')
  const first = lines.indexOf('value:') + 1
  if (!first) return yaml
  const length = lines.slice(first).findIndex((l) => l !== '' && !/^[ -]/.test(l))
  return lines.slice(first, length < 0 ? undefined : first + length).map((l) => l.replace(/^ {2}/, '')).join('\n').trimEnd()
}

export function ObjectPage({ kind, namespace, name }: { kind: string; namespace: string; name: string }) {
  const manifest = useManifest(kind, namespace, name)
  const { data: objects } = useObjects()
  const { data: status } = useStatus()
  const { data: me } = useWhoami()
  const key = keyOf({ kind, namespace, name })
  const object = objects?.find((o) => keyOf(o) === key)
  const mine = status?.statuses.find((s) => s.object === key)
  const refused = status?.refused.find((r) => r.object === key)
  const problems = status?.problems.filter((p) => p.object === key) ?? []
  const verdict = verdictOf(mine)
  const route = /Route$/.test(kind)
  return (
    <Page
      title={name}
      crumbs={[['Configuration', '/configuration'], [kind, `/configuration?kind=${kind}`]]}
      label={
        <>
          {name} <Kind>{kind}</Kind>
        </>
      }
      about={refused ? <Badge tone="bad">Refused</Badge> : <Badge tone={verdict.tone}>{verdict.word}</Badge>}
      actions={
        <>
          {route && <Link className="button" to={to('routes', key)}>Its traffic</Link>}
          <Link className="button" to={to('configuration', 'edit', kind, namespace || '-', name)}>{may(me, 'operator') ? 'Edit' : 'Try a change'}</Link>
          {problems.some((p) => p.code === 'HiddenByFile') && kind !== 'Consumer' && may(me, 'operator') && (
            <Action label="Delete the managed one…" title={`Delete the managed ${kind} ${name}`} grave run={() => change('DELETE', objectPath(kind, namespace, name)).then(() => undefined)} after={['/v1/status', '/v1/objects']}>
              <p>The file&apos;s {kind} of this name serves, and goes on serving. The managed one does not serve while the file has it; it is taken away, and can be had back by a rollback.</p>
            </Action>
          )}
          {object?.source === 'managed' && may(me, 'operator') && <Link className="button" to={to('configuration', 'delete', kind, namespace || '-', name)}>Delete</Link>}
        </>
      }
    >
      <div className="columns">
        <div className="stack span-7">
          {(refused || problems.length > 0) && (
            <Panel title="What is wrong" flush>
              <ul className="matters">
                {refused?.why.map((w) => (
                  <li key={w}>
                    <Badge tone="bad">!</Badge>
                    <span className="what">{w}</span>
                    <Where place={refused.place} />
                    <span className="why">{refused.lastGood ? `The version of revision ${refused.lastGood} goes on serving.` : 'No version of it serves.'}</span>
                  </li>
                ))}
                {problems.map((p, i) => (
                  <li key={i}>
                    <Badge tone={p.severity === 'error' ? 'bad' : p.severity === 'warning' ? 'warn' : 'info'}>!</Badge>
                    <span className="what">
                      {p.field && <code>{p.field}</code>} {p.message}
                    </span>
                    <Where place={p.place} />
                    <span className="why">
                      {p.remedy} <span className="quiet">({p.code})</span>
                    </span>
                  </li>
                ))}
              </ul>
            </Panel>
          )}
          <Panel title="Conditions" flush>
            <Table label="Conditions" columns={columns} rows={mine?.conditions ?? []} rowKey={(c) => `${c.of} ${c.type}`} empty={<Empty title="It has no conditions">Objects of this kind are only used by others.</Empty>} />
          </Panel>
          <Panel title="Manifest" note="secrets are hidden" flush>
            <Shown of={manifest} what="manifest">
              {(text) => <Manifest text={valueOf(text)} label={`Manifest of ${name}`} />}
            </Shown>
          </Panel>
        </div>
        <div className="span-5">
          <Panel title="About">
            <Facts
              of={[
                ['Namespace', namespace || 'none: it is of the whole cluster'],
                ['API version', object?.apiVersion ?? '–'],
                ['From', object?.source ?? '–'],
                ['Revisions', <Link key="r" to={`/configuration/revisions?object=${encodeURIComponent(key)}`}>of this object</Link>],
                ['Written at', object?.place?.file ? <code>{wholePlace(object.place)}</code> : '–'],
                ['Proxies', verdict.served ?? '–'],
                ['Content', object?.hash ? <code>{object.hash}</code> : '–'],
                ...(mine?.addresses?.length ? [['Addresses', mine.addresses.join(', ')] as [string, string]] : []),
                ...(mine?.sections ?? []).map((s) => [`Listener ${s.name}`, `${s.attachedRoutes} routes attached`] as [string, string]),
              ]}
            />
          </Panel>
        </div>
      </div>
    </Page>
  )
}
