import { post, remove } from '../api/client'
import { useJoinTokens } from '../api/queries'
import type { MembershipCertificate, MembershipDenial, MembershipToken } from '../api/schema.gen'
import { plural } from '../lib/format'
import { serviceOf } from '../lib/names'
import { Action, endOf, ends, Field, Secret, textOf, wordsOf } from '../ui/action'
import { Panel } from '../ui/panel'
import { Ago } from '../ui/small'
import { Empty, Shown } from '../ui/state'
import { type Column, Table } from '../ui/table'

const denialPaths = ['/v1/mesh/denials', '/v1/mesh/identities', '/v1/status']

/** Deny refuses an identity or one of its certificates; without one it asks for it. */
export function Deny({ certificate: c }: { certificate?: MembershipCertificate }) {
  const run = async (form: FormData) => {
    const what = textOf(form, 'what')
    const denial: MembershipDenial = { reason: textOf(form, 'reason') || undefined, expires: endOf(form, 'ends') }
    if (what.startsWith('spiffe:')) denial.id = what
    else denial.serial = what
    await post('/v1/mesh/denials', denial)
  }
  return (
    <Action label={c ? 'Deny' : 'Deny…'} name={c && serviceOf(c.id)} title={c ? `Deny ${serviceOf(c.id)}` : 'Deny an identity or a certificate'} grave small={!!c} run={run} after={denialPaths}>
      <p>Handshakes with it fail everywhere within seconds, its connections are cut, and it gets no certificate any more. What it serves is then unreachable.</p>
      {c ? (
        <Field label="What" name="what" value={c.id} of={[[c.id, `the identity, ${c.id}`], [c.serial, `this certificate alone, ${c.serial.slice(0, 16)}…`]]} hint="Who holds an identity gets another certificate, if that alone is denied." />
      ) : (
        <Field label="SPIFFE ID or serial number" name="what" required placeholder="spiffe://cluster.local/ns/default/sa/orders" hint="A serial number is in hexadecimal, and denies one certificate." />
      )}
      <Field label="Reason" name="reason" hint="For whoever wonders; it is in the audit log." />
      <Field label="Ends" name="ends" of={[['', 'when it is allowed again'], ...ends]} />
    </Action>
  )
}

/** Allow takes a denial away. */
export function Allow({ denial: d }: { denial: MembershipDenial }) {
  const name = d.id ? serviceOf(d.id) : (d.serial ?? '')
  return (
    <Action label="Allow" name={name} title={`Allow ${name} again`} small run={() => remove('/v1/mesh/denials', { id: d.id, serial: d.serial })} after={denialPaths}>
      <p>
        <code>{[d.id, d.serial].filter(Boolean).join(' ')}</code> may have certificates and make connections again{d.reason && <>. It was denied because of: {d.reason}</>}.
      </p>
    </Action>
  )
}

const grants = (t: MembershipToken) =>
  t.grants.role === 'node' ? `nodes ${t.grants.nodes?.join(', ') ?? ''}${t.grants.services ? ` with ${t.grants.services.join(', ')}` : ''}` : `${t.grants.services?.join(', ') || 'any service'} in ${t.grants.namespaces?.join(', ') || 'default'}`

const columns: Column<MembershipToken>[] = [
  { name: 'Token', by: (t) => t.id, of: (t) => <code>{t.id}</code> },
  { name: 'Lets join', of: grants },
  { name: 'Used', number: true, by: (t) => t.uses, of: (t) => (t.maxUses ? `${t.uses} of ${t.maxUses}` : t.uses) },
  { name: 'Ends', by: (t) => Date.parse(t.expires), of: (t) => <Ago at={t.expires} /> },
  { name: 'Last used', minor: true, by: (t) => t.lastUsed ?? '', of: (t) => <Ago at={t.lastUsed} /> },
  {
    name: 'Actions',
    of: (t) => (
      <Action label="Revoke" name={t.id} title={`Revoke join token ${t.id}`} grave small run={() => remove(`/v1/mesh/tokens/${encodeURIComponent(t.id)}`)} after={['/v1/mesh/tokens']}>
        <p>Nobody joins by it any more. Who has joined by it stays; deny their identities to keep them out.</p>
      </Action>
    ),
  },
]

/** JoinTokens are those by which machines join. */
export function JoinTokens() {
  const tokens = useJoinTokens(true)
  return (
    <Panel title="Join tokens" note={tokens.data && plural(tokens.data.length, 'token')} className="span-12" flush actions={<MakeJoinToken />}>
      <Shown of={tokens} what="join tokens">
        {(list) => <Table label="Join tokens" columns={columns} rows={list} rowKey={(t) => t.id} first="Ends" empty={<Empty title="There is none">Make one for each machine that is to join: a sidecar, an edge or a node.</Empty>} />}
      </Shown>
    </Panel>
  )
}

function MakeJoinToken() {
  const run = async (form: FormData) => {
    const node = textOf(form, 'role') === 'node'
    const uses = Number(textOf(form, 'uses'))
    const t = await post('/v1/mesh/tokens', {
      role: textOf(form, 'role'),
      namespaces: node ? undefined : wordsOf(form, 'where'),
      nodes: node ? wordsOf(form, 'where') : undefined,
      services: wordsOf(form, 'services'),
      uses: uses || undefined,
      reusable: uses ? undefined : true,
      expires: endOf(form, 'ends'),
    })
    return (
      <Secret text={t.token}>
        Start a machine with it: <code>{node ? 'gridway node' : 'gridway sidecar'} --token …</code> It is shown this once, and ends <Ago at={t.expires} />.
      </Secret>
    )
  }
  return (
    <Action label="Make a token…" title="Make a join token" run={run} after={['/v1/mesh/tokens']}>
      <p>Whoever has it may join the mesh as one of these, until it ends or is used up.</p>
      <Field label="For" name="role" of={[['workload', 'workloads: sidecars and edges'], ['node', 'node proxies']]} />
      <Field label="Services" name="services" placeholder="orders, catalog" hint="Names, or beginnings with * behind them. Of nodes, those of the workloads that they may have." />
      <Field label="Namespaces, or names of nodes" name="where" placeholder="default" hint="Left out, the namespace default." />
      <Field label="Uses" name="uses" number value="1" hint="How many machines may join by it; 0 is any number." />
      <Field label="Ends in" name="ends" value="1" of={ends} />
    </Action>
  )
}
