import type { ReactNode } from 'react'
import { useAuthority, useDenials, useIdentities, useStatus, useWhoami } from '../api/queries'
import type { IdentityAuthorityKey, MembershipCertificate, MembershipDenial, MemberStatus, MeshProxy, MeshStatus } from '../api/schema.gen'
import { useNow } from '../lib/clock'
import { count, plural } from '../lib/format'
import { serviceOf } from '../lib/names'
import { useParameter } from '../lib/router'
import { Page } from '../shell'
import { may } from '../ui/action'
import { Badge, type Tone } from '../ui/badge'
import { Facts, Panel, Stat, Stats } from '../ui/panel'
import { Ago, Meter, Search } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'
import { Allow, Deny, JoinTokens } from './membership'

const tones: Record<string, Tone> = { Serving: 'good', Newer: 'good', Pending: 'info', Refused: 'bad', Gone: 'muted' }

const proxies: Column<MeshProxy>[] = [
  {
    name: 'Proxy',
    by: (p) => p.name,
    of: (p) => (
      <>
        {p.name}
        <span className="sub">{p.identity}</span>
      </>
    ),
  },
  { name: 'Role', by: (p) => p.role, of: (p) => p.role, minor: true },
  {
    name: 'State',
    by: (p) => p.state,
    of: (p) => (
      <>
        <Badge tone={tones[p.state] ?? 'muted'}>{p.state}</Badge>
        {p.why && <span className="sub">{p.why}</span>}
        {p.refusals?.map((r) => (
          <span className="sub tone-bad" key={`${r.kind} ${r.name}`}>
            {r.kind} {r.name}: {r.reason}
          </span>
        ))}
      </>
    ),
  },
  { name: 'Revision', number: true, by: (p) => p.revision, of: (p) => (p.revision === p.wanted ? p.revision : `${p.revision} of ${p.wanted}`) },
  { name: 'Uses', minor: true, by: (p) => p.services.length, of: (p) => <span className="quiet">{p.services.length ? p.services.map((s) => s.replace(/^default\//, '')).join(', ') : 'nothing yet'}</span> },
  { name: 'Zone', minor: true, by: (p) => p.zone ?? '', of: (p) => p.zone ?? '–' },
  { name: 'Since', minor: true, by: (p) => Date.parse(p.since), of: (p) => <Ago at={p.since} /> },
]

/** left is how much of a certificate's life is still to come, from 0 to 1. */
const left = (c: MembershipCertificate, now: number) => (Date.parse(c.ends) - now) / (Date.parse(c.ends) - Date.parse(c.issued))

function identityColumns(now: number, change: boolean): Column<MembershipCertificate>[] {
  const actions: Column<MembershipCertificate>[] = [{ name: 'Actions', of: (c) => !c.id.endsWith('/gridway/control') && <Deny certificate={c} /> }] // without control planes there is no mesh
  return [
    {
      name: 'Identity',
      by: (c) => c.id,
      of: (c) => (
        <>
          {serviceOf(c.id)}
          <span className="sub">{c.id}</span>
        </>
      ),
    },
    {
      name: 'Life left',
      by: (c) => left(c, now),
      of: (c) => (
        <>
          <Meter share={left(c, now)} tone={left(c, now) < 0.25 ? 'warn' : 'good'} /> <Ago at={c.ends} />
        </>
      ),
    },
    { name: 'Issued', minor: true, by: (c) => Date.parse(c.issued), of: (c) => <Ago at={c.issued} /> },
    { name: 'Proved by', minor: true, by: (c) => c.via, of: (c) => <span className="quiet">{c.via}{c.peer ? ` from ${c.peer}` : ''}</span> },
    { name: 'Serial', minor: true, of: (c) => <code className="where">{c.serial.slice(0, 12)}…</code> },
    ...(change ? actions : []),
  ]
}

const roots: Column<IdentityAuthorityKey>[] = [
  { name: 'Signs', by: (a) => a.purpose, of: (a) => (a.purpose === 'x509' ? 'certificates' : a.purpose === 'jwt' ? 'tokens (JWT-SVID)' : 'nothing: it is trusted beside ours') },
  { name: 'State', of: (a) => (a.signs ? <Badge tone="good">signs now</Badge> : Date.parse(a.signsFrom) > Date.now() ? <Badge tone="info">comes next</Badge> : <Badge tone="muted">still trusted</Badge>) },
  { name: 'From', minor: true, by: (a) => Date.parse(a.signsFrom), of: (a) => <Ago at={a.signsFrom} /> },
  { name: 'Ends', by: (a) => Date.parse(a.ends ?? a.keptUntil ?? ''), of: (a) => <Ago at={a.ends ?? a.keptUntil} /> },
  { name: 'Fingerprint', minor: true, of: (a) => <code className="where">{a.fingerprint}</code> },
]

const denials: Column<MembershipDenial>[] = [
  { name: 'Denied', by: (d) => d.id ?? d.serial ?? '', of: (d) => <code>{d.id || d.serial}</code> },
  { name: 'Why', of: (d) => d.reason || <span className="quiet">no reason given</span> },
  { name: 'Since', minor: true, by: (d) => d.created ?? '', of: (d) => <Ago at={d.created} /> },
  { name: 'Ends', by: (d) => d.expires ?? '', of: (d) => (d.expires ? <Ago at={d.expires} /> : 'never') },
]
const denialsToChange: Column<MembershipDenial>[] = [...denials, { name: 'Actions', of: (d) => <Allow denial={d} /> }]

export function Mesh() {
  const status = useStatus()
  return (
    <Page title="Mesh" about="Proxies, who they prove to be, and whom they trust.">
      <Shown of={status} what="mesh">
        {(s) => {
          if (s.mesh) return <Control m={s.mesh} />
          if (s.member) return <Member m={s.member} />
          return (
            <Panel title="No mesh">
              <Empty title="This process is in no mesh">Start one with gridway control, or see it whole in gridway demo. The guide Mesh tutorial has the steps.</Empty>
            </Panel>
          )
        }}
      </Shown>
    </Page>
  )
}

function Control({ m }: { m: MeshStatus }) {
  const authority = useAuthority()
  const identities = useIdentities()
  const denied = useDenials()
  const { data: me } = useWhoami()
  const change = may(me, 'operator')
  const now = useNow()
  const [text, setText] = useParameter('q')
  const needle = text.toLowerCase()
  const found = m.proxies.filter((p) => `${p.name} ${p.identity} ${p.role} ${p.state} ${p.zone ?? ''}`.toLowerCase().includes(needle))
  const root = authority.data?.authorities?.find((a) => a.signs && a.purpose !== 'jwt')
  return (
    <div className="stack">
      <Stats label="Now">
        <Stat name="Trust domain" value={<span className="word">{m.trustDomain}</span>} note={`proxies come to ${m.address}`} />
        <Stat name="Proxies" value={m.serving} unit={`of ${m.proxies.length}`} note="serve the newest" />
        <Stat name="Identities" value={count(new Set(identities.data?.map((c) => c.id)).size)} note={plural(identities.data?.length ?? 0, 'live certificate')} />
        <Stat name="Root ends" value={<span className="word"><Ago at={root?.ends} /></span>} note="the next comes by itself" />
        <Stat name="Denied" value={denied.data?.length ?? 0} />
      </Stats>
      <Panel title="Proxies" note={plural(found.length, 'proxy', 'proxies')} actions={<Search value={text} set={setText} label="Name, state or zone" />} flush>
        <Table label="Proxies" columns={proxies} rows={found} rowKey={(p) => p.name} first="Proxy" empty={<Empty title={needle ? 'No proxy matches' : 'No proxy has joined'}>{needle ? 'Search for less.' : 'Make a token with gridway token join, and start a sidecar, an edge or a node with it.'}</Empty>} />
      </Panel>
      <div className="columns">
        <Panel title="Certificates" note="the newest of each identity first" flush className="span-12">
          <Shown of={identities} what="certificates">
            {(list) => <Table label="Certificates" columns={identityColumns(now, change)} rows={list} rowKey={(c) => c.serial} most={50} empty={<Empty title="None is alive">They are issued as proxies join.</Empty>} />}
          </Shown>
        </Panel>
        <Panel title="Trust roots" flush className="span-7">
          <Shown of={authority} what="authority">
            {(a) => <Table label="Trust roots" columns={roots} rows={a.authorities ?? []} rowKey={(x) => `${x.purpose} ${x.serial}`} />}
          </Shown>
        </Panel>
        <Panel title="Denials" flush className="span-5" actions={change && <Deny />}>
          <Shown of={denied} what="denials">
            {(list) => <Table label="Denials" columns={change ? denialsToChange : denials} rows={list} rowKey={(d) => `${d.id} ${d.serial}`} empty={<Empty title="Nobody is denied">gridway identity deny refuses an identity or a certificate at once, everywhere.</Empty>} />}
          </Shown>
        </Panel>
        {may(me, 'admin') && <JoinTokens />}
        {(m.federation?.length || m.peers?.length) && <Others m={m} />}
      </div>
    </div>
  )
}

function Others({ m }: { m: MeshStatus }) {
  return (
    <Panel title="Other meshes" className="span-12">
      <Facts
        of={[
          ...(m.federation ?? []).map((f) => [f.trustDomain, <>{f.error ? <Badge tone={f.roots ? 'warn' : 'bad'}>{f.error}</Badge> : <Badge tone="good">{plural(f.roots, 'root')}</Badge>} fetched <Ago at={f.fetched} /></>] as [string, ReactNode]),
          ...(m.peers ?? []).map((p) => [p.name, <>{p.address ? <Badge tone="good">answers</Badge> : <Badge tone={p.known ? 'warn' : 'bad'}>{p.error ?? 'does not answer'}</Badge>} {plural(p.services, 'service')} behind {plural(p.edges, 'edge')}</>] as [string, ReactNode]),
        ]}
      />
    </Panel>
  )
}

/** Member is how one proxy stands. */
function Member({ m }: { m: MemberStatus }) {
  const now = useNow()
  return (
    <div className="columns">
      <Panel title="This proxy">
        <Facts
          of={[
            ['Name', m.name],
            ['Role', m.role],
            ['Identity', <code>{m.identity}</code>],
            ['Reached at', m.address],
            ['Control plane', m.control.target ? <Badge tone="good">{m.control.target}</Badge> : <Badge tone="warn">{m.control.problem ?? 'none'}</Badge>],
            ['Since', <Ago at={m.control.since} />],
            ['Serves', m.control.fromDisk ? 'what it kept from before it started' : 'what the control plane sent'],
            ['Uses', m.services.join(', ') || 'nothing yet'],
          ]}
        />
      </Panel>
      <Panel title="Certificates and trust" flush>
        <Table
          label="Certificates"
          columns={[
            { name: 'Identity', of: (c) => serviceOf(c.id) },
            { name: 'Life left', of: (c) => <><Meter share={(Date.parse(c.notAfter) - now) / (Date.parse(c.notAfter) - Date.parse(c.notBefore))} tone="good" /> <Ago at={c.notAfter} /></> },
          ]}
          rows={m.svids}
          rowKey={(c) => c.serial}
        />
        <Table
          label="Trust domains"
          columns={[
            { name: 'Trusts', of: (t) => t.name },
            { name: 'Roots', number: true, of: (t) => t.roots },
            { name: 'Until', of: (t) => <Ago at={t.notAfter} /> },
          ]}
          rows={m.trustDomains}
          rowKey={(t) => t.name}
        />
      </Panel>
    </div>
  )
}
