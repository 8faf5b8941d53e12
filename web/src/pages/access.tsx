import { useState } from 'react'
import { post, postAs, remove } from '../api/client'
import { useChanges, useConsumers, useSessions, useTokens, useWhoami } from '../api/queries'
import { logout, pageKey } from '../api/session'
import type { AccessChange, AccessSession, AccessToken, Consumer, ConsumerCredential } from '../api/schema.gen'
import { plural } from '../lib/format'
import { useParameter } from '../lib/router'
import { Page } from '../shell'
import { Action, endOf, ends, Field, may, Secret, textOf } from '../ui/action'
import { Facts, Panel } from '../ui/panel'
import { Ago, Search } from '../ui/small'
import { Empty, Loading, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'

/** Access is who may manage, who may call, and what they have changed. */
export function Access() {
  const { data: me } = useWhoami()
  return (
    <Page title="Access" about="Who may manage this gateway, who may call through it, and what was changed by whom.">
      {!me ? (
        <Loading what="access" />
      ) : (
        <div className="stack">
          <Panel title="You">
            <Facts
              of={[
                ['Name', <span className="word">{me.name}</span>],
                ['Role', me.role],
                ['You may', { viewer: 'read everything but secrets, tokens and the audit log, and try what a change would do', operator: 'also change the configuration, consumers, keys and who is denied in the mesh, and look at live traffic', admin: 'do everything' }[me.role] ?? me.role],
              ]}
            />
          </Panel>
          {pageKey() && <Sessions all={may(me, 'admin')} />}
          <Consumers change={may(me, 'operator')} />
          {may(me, 'admin') && (
            <>
              <Tokens />
              <Audit />
            </>
          )}
        </div>
      )}
    </Page>
  )
}

const tokenPaths = ['/v1/tokens', '/v1/audit']

const tokenColumns: Column<AccessToken>[] = [
  {
    name: 'Token',
    by: (t) => t.name,
    of: (t) => (
      <>
        {t.name}
        <span className="sub">{t.id}</span>
      </>
    ),
  },
  { name: 'Role', by: (t) => t.role, of: (t) => t.role },
  { name: 'Ends', by: (t) => t.expires ?? '9', of: (t) => (t.expires ? <Ago at={t.expires} /> : 'never') },
  { name: 'Last used', by: (t) => t.lastUsed ?? '', of: (t) => <Ago at={t.lastUsed} /> },
  { name: 'Made', minor: true, by: (t) => t.created, of: (t) => <Ago at={t.created} /> },
  {
    name: 'Actions',
    of: (t) => (
      <Action label="Revoke" name={t.name} title={`Revoke token ${t.name}`} grave small run={() => remove(`/v1/tokens/${encodeURIComponent(t.id)}`)} after={tokenPaths}>
        <p>The next request with it is refused, and so is every session that began with it. It cannot be undone; make another one if it is still needed.</p>
      </Action>
    ),
  },
]

function Tokens() {
  const tokens = useTokens(true)
  const make = async (form: FormData) => {
    const t = await post('/v1/tokens', { name: textOf(form, 'name'), role: textOf(form, 'role'), expires: endOf(form, 'ends') })
    return (
      <Secret text={t.token}>
        The token of {t.name}, in the role {t.role}. It is shown this once: put it where it is needed, as <code>GRIDWAY_TOKEN</code> for commands.
      </Secret>
    )
  }
  return (
    <Panel
      title="Tokens"
      note={tokens.data && plural(tokens.data.length, 'token')}
      flush
      actions={
        <Action label="Make a token…" title="Make a token of the admin API" run={make} after={tokenPaths}>
          <p>Whoever has it may do what its role may, through the admin API and in this console.</p>
          <Field label="Name" name="name" required placeholder="ci" hint="For people: what it is for." />
          <Field label="Role" name="role" of={[['viewer', 'viewer: reads'], ['operator', 'operator: changes the configuration, consumers, keys and denials'], ['admin', 'admin: everything']]} />
          <Field label="Ends in" name="ends" value="720" of={[...ends, ['', 'never']]} />
        </Action>
      }
    >
      <Shown of={tokens} what="tokens">
        {(list) => <Table label="Tokens" columns={tokenColumns} rows={list} rowKey={(t) => t.id} first="Token" empty={<Empty title="There is none">Make one for each program and person.</Empty>} />}
      </Shown>
    </Panel>
  )
}

const sessionColumns: Column<AccessSession>[] = [
  {
    name: 'Who',
    by: (s) => s.name,
    of: (s) => (
      <>
        {s.name.replace(/ \(.*\)$/, '')}
        <span className="sub">{/ \((.*)\)$/.exec(s.name)?.[1]}</span>
      </>
    ),
  },
  { name: 'Role', by: (s) => s.role, of: (s) => s.role },
  { name: 'Since', by: (s) => s.began, of: (s) => <Ago at={s.began} /> },
  { name: 'Ends', by: (s) => s.ends, of: (s) => <Ago at={s.ends} /> },
  { name: 'From', minor: true, by: (s) => s.peer ?? '', of: (s) => <span className="quiet">{s.peer}</span> },
  {
    name: 'Actions',
    of: (s) =>
      s.current ? (
        <span className="quiet">this one</span>
      ) : (
        <Action label="End" name={`the session of ${s.name} from ${s.peer ?? 'somewhere'}`} title={`End a session of ${s.name}`} grave small run={() => remove(`/v1/sessions/${encodeURIComponent(s.id)}`)} after={['/v1/sessions', '/v1/audit']}>
          <p>That browser has to log in again. Whoever has a token or may log in elsewhere can do so.</p>
        </Action>
      ),
  },
]

/** Sessions are who is logged in: everybody for admins, and one's own for others. */
function Sessions({ all }: { all: boolean }) {
  const sessions = useSessions()
  return (
    <Panel
      title="Sessions"
      note={all ? 'who is logged in to this console' : 'where you are logged in'}
      flush
      actions={
        <Action label="Log out everywhere…" title="Log out everywhere" grave run={() => logout(true)} after={[]}>
          <p>It ends this session, and all others that began with the same token or as the same person, in other browsers too.</p>
        </Action>
      }
    >
      <Shown of={sessions} what="sessions">
        {(list) => <Table label="Sessions" columns={sessionColumns} rows={list} rowKey={(s) => s.id} first="-Since" most={50} empty={<Empty title="There is none">Nobody is logged in with a browser.</Empty>} />}
      </Shown>
    </Panel>
  )
}

const consumerPaths = ['/v1/consumers', '/v1/audit']
const pathOf = (c: Consumer) => `/v1/consumers/${encodeURIComponent(c.namespace)}/${encodeURIComponent(c.name)}/keys`

interface CreatedKey {
  name: string
  key: string
  replacedUntil?: string
}

const shownKey = (c: Consumer) => (k: CreatedKey) => (
  <Secret text={k.key}>
    Key {k.name} of {c.namespace}/{c.name}. It is shown this once.{' '}
    {k.replacedUntil && (
      <>
        The one before is accepted until <Ago at={k.replacedUntil} />.
      </>
    )}
  </Secret>
)

/** Keys are the credentials of a consumer, and what may be done to them. */
function Keys({ of: c, change }: { of: Consumer; change: boolean }) {
  return (
    <>
      {c.credentials.map((k) => (
        <div key={`${k.kind} ${k.name}`} className="rowactions">
          <span>
            {k.name} <span className="quiet">{k.kind}, {k.lastUsed ? <>used <Ago at={k.lastUsed} /></> : 'never used'}{k.notAfter && <>, ends <Ago at={k.notAfter} /></>}</span>
          </span>
          {change && <KeyActions of={c} credential={k} />}
        </div>
      ))}
    </>
  )
}

function KeyActions({ of: c, credential: k }: { of: Consumer; credential: ConsumerCredential }) {
  const path = `${pathOf(c)}/${encodeURIComponent(k.name)}`
  const name = `${k.name} of ${c.namespace}/${c.name}`
  return (
    <>
      {k.kind === 'apiKey' && (
        <Action
          label="Rotate"
          name={name}
          title={`Rotate key ${name}`}
          small
          run={(form) => postAs<CreatedKey>(`${path}/rotate`, { overlapSeconds: Number(textOf(form, 'overlap')) }).then(shownKey(c))}
          after={consumerPaths}
        >
          <p>A new key takes over from this one. For a while both are accepted, so that nobody is cut off while the new one is put in place.</p>
          <Field label="The old one is accepted for" name="overlap" value="86400" of={[['0', 'not at all: it ends now'], ['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week']]} />
        </Action>
      )}
      <Action label="Revoke" name={name} title={`Revoke key ${name}`} grave small run={() => remove(path)} after={consumerPaths}>
        <p>Requests with it are refused from now on, everywhere. It cannot be undone.</p>
      </Action>
    </>
  )
}

function consumerColumns(change: boolean): Column<Consumer>[] {
  const more: Column<Consumer> = {
    name: 'Actions',
    of: (c) => (
      <Action label="Make a key…" name={`of ${c.namespace}/${c.name}`} title={`Make an API key of ${c.namespace}/${c.name}`} small run={(form) => postAs<CreatedKey>(pathOf(c), { name: textOf(form, 'name') || undefined, notAfter: endOf(form, 'ends') }).then(shownKey(c))} after={consumerPaths}>
        <p>Whoever presents it is this consumer, beside the keys that there are.</p>
        <Field label="Name" name="name" placeholder="key-1" hint="Left out, it gets the next number." />
        <Field label="Ends in" name="ends" of={[['', 'never'], ...ends]} />
      </Action>
    ),
  }
  return [
    { name: 'Consumer', by: (c) => `${c.namespace}/${c.name}`, of: (c) => `${c.namespace}/${c.name}` },
    { name: 'Plan', minor: true, by: (c) => c.plan ?? '', of: (c) => c.plan || '–' },
    { name: 'Groups', minor: true, of: (c) => c.groups?.join(', ') || '–' },
    { name: 'Credentials', by: (c) => c.credentials.length, of: (c) => (c.credentials.length ? <Keys of={c} change={change} /> : <span className="quiet">none</span>) },
    ...(change ? [more] : []),
  ]
}

function Consumers({ change }: { change: boolean }) {
  const consumers = useConsumers()
  const [text, setText] = useParameter('q')
  const found = consumers.data?.filter((c) => `${c.namespace}/${c.name} ${c.plan ?? ''} ${c.groups?.join(' ') ?? ''}`.toLowerCase().includes(text.toLowerCase())) ?? []
  const full = consumers.data?.length === 1000
  return (
    <Panel title="Consumers" note={full ? 'the first 1,000; gridway consumer list has all' : consumers.data && plural(found.length, 'consumer')} flush actions={<Search value={text} set={setText} label="Name, plan or group" />}>
      <Shown of={consumers} what="consumers">
        {() => <Table label="Consumers" columns={consumerColumns(change)} rows={found} rowKey={(c) => `${c.namespace}/${c.name}`} first="Consumer" most={100} empty={<Empty title={text ? 'No consumer matches' : 'There is no consumer'}>{text ? 'Search for less.' : 'Write a Consumer into a file, or make one with gridway consumer create.'}</Empty>} />}
      </Shown>
    </Panel>
  )
}

const changeColumns: Column<AccessChange>[] = [
  { name: 'When', of: (c) => <Ago at={c.at} /> },
  {
    name: 'Who',
    of: (c) => (
      <>
        {c.actor}
        <span className="sub">
          {c.role}
          {c.peer && ` from ${c.peer}`}
        </span>
      </>
    ),
  },
  { name: 'What', of: (c) => `${c.action} ${c.object}` },
  {
    name: 'Change',
    minor: true,
    of: (c) =>
      (c.before ?? c.after) ? (
        <details>
          <summary>before and after</summary>
          <pre>{JSON.stringify({ before: c.before, after: c.after }, null, 1)}</pre>
        </details>
      ) : null,
  },
]

const page = 50

/** Audit is the log of changes, the latest first, one page at a time. */
function Audit() {
  const [asked, setAsked] = useState<Record<string, string>>({})
  const [pages, setPages] = useState<number[]>([])
  const before = pages.at(-1)
  const changes = useChanges({ limit: String(page), ...asked, ...(before ? { before: String(before) } : {}) }, true)
  return (
    <Panel
      title="Audit log"
      flush
      actions={
        <form
          className="rowactions"
          role="search"
          onSubmit={(e) => {
            e.preventDefault()
            const form = new FormData(e.currentTarget)
            setAsked(Object.fromEntries(['object', 'actor'].map((k) => [k, textOf(form, k)]).filter(([, v]) => v)))
            setPages([])
          }}
        >
          <input type="search" name="object" aria-label="Object" placeholder="Consumer/default/acme" spellCheck={false} />
          <input type="search" name="actor" aria-label="Who, as it is written in the log" placeholder="Who" spellCheck={false} />
          <button type="submit" className="button">
            Find
          </button>
        </form>
      }
    >
      <Shown of={changes} what="audit log">
        {(list) => (
          <>
            <Table label="Audit log" columns={changeColumns} rows={list} rowKey={(c) => String(c.id)} empty={<Empty title="Nothing was changed">{Object.keys(asked).length ? 'Names must be whole, as they are written in the log.' : 'Changes of consumers, keys, tokens and denials are written here.'}</Empty>} />
            {(pages.length > 0 || list.length === page) && (
              <div className="rowactions">
                <button type="button" className="button" disabled={!pages.length} onClick={() => setPages(pages.slice(0, -1))}>
                  Newer
                </button>
                <button type="button" className="button" disabled={list.length < page} onClick={() => setPages([...pages, list.at(-1)!.id])}>
                  Older
                </button>
              </div>
            )}
          </>
        )}
      </Shown>
    </Panel>
  )
}
