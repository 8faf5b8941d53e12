import type { DryrunPassage } from '../api/schema.gen'
import { Empty } from '../ui/state'
import { Decision } from './decision'

/** Passage is the way of a request between services: past the caller's proxy, and past that of the called one. */
export function Passage({ of: p, from }: { of: DryrunPassage; from: string }) {
  return (
    <>
      {p.client && (
        <section aria-label={`At ${from}`}>
          <h3>At the proxy of {from}</h3>
          <Decision of={p.client} />
        </section>
      )}
      {!p.service && <Empty title={`${p.host} is no service of the mesh`}>{p.egress ? `What becomes of it there: ${p.egress}.` : 'It goes where the host’s resolver says.'}</Empty>}
      {p.note && <p className="notice">{p.note}</p>}
      {p.server && (
        <section aria-label={`At ${p.service}`}>
          <h3>At the proxy of {p.service}</h3>
          <Decision of={p.server} />
        </section>
      )}
      {p.service && !p.server && <p className="quiet">It does not get to {p.service}, or nobody there has a proxy.</p>}
    </>
  )
}
