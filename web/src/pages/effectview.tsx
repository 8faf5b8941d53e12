import type { ReactNode } from 'react'
import type { DeltaAspect, Effect, Problem } from '../api/schema.gen'
import { plural } from '../lib/format'
import { Badge } from '../ui/badge'
import { Facts } from '../ui/panel'
import { Ago, ObjectLink, Where } from '../ui/small'
import '../styles/editor.css'

/** EffectView is what a change would do: problems, objects, listeners, requests. */
export function EffectView({ of: e }: { of: Effect }) {
  const errors = e.problems.filter((p) => p.severity === 'error')
  return (
    <div className="effect">
      <p className="verdict">
        {e.valid ? <Badge tone="good">Valid</Badge> : <Badge tone="bad">{plural(errors.length, 'error')}</Badge>} <span className="quiet">compared with revision {e.revision}</span>
      </p>
      {e.unfinished && <p className="hint tone-warn">{e.unfinished}.</p>}
      <Problems of={e.problems} />
      {e.valid && (
        <>
          <Passed of={e} />
          <Part title="Objects" none="no object is different" n={e.objects.length}>
            {e.objects.map((o) => (
              <li key={o.object}>
                <Op of={o.op} /> <ObjectLink of={o.object} />
                {o.fields?.map((f) => (
                  <div className="aspect" key={f.path}>
                    <code>{f.path}</code> <Values was={valueText(f.old)} now={valueText(f.new)} />
                  </div>
                ))}
              </li>
            ))}
          </Part>
          <Part title="Listeners" none="no listener is different" n={e.listeners.length}>
            {e.listeners.map((l) => (
              <li key={l.of}>
                {l.of}
                <Aspects of={l.aspects} />
              </li>
            ))}
          </Part>
          <Part title="Behaviour" none={`${plural(e.requestsTried, 'request')} that stand for the rules are served as before`} n={e.behaviour.length}>
            {e.behaviour.map((b, i) => (
              <li key={i}>
                {b.examples.slice(0, 2).map((x) => (
                  <code className="request" key={x.method + x.url + JSON.stringify(x.headers)}>
                    {x.method} {x.url}
                    {x.headers?.map((h) => ` ${h.name}: ${h.value}`)}
                  </code>
                ))}
                {b.count > 2 && <span className="quiet">and {b.count - 2} more alike</span>}
                <Aspects of={b.aspects} />
              </li>
            ))}
          </Part>
          {(e.behaviourOmitted ?? 0) > 0 && <p className="hint">{plural(e.behaviourOmitted!, 'more way', 'more ways')} in which requests differ are left out.</p>}
          {(e.notCompared?.length ?? 0) > 0 && <p className="hint">Hidden, and so not compared: {e.notCompared!.slice(0, 6).join(', ')}.</p>}
        </>
      )}
    </div>
  )
}

/** differently is how many requests that have passed would be decided otherwise. */
export const differently = (e: Effect | undefined): number => e?.replay?.different ?? 0

function Passed({ of: e }: { of: Effect }) {
  const r = e.replay
  if (!r?.requests)
    return (
      <section>
        <h3>Recent traffic</h3>
        <p className="hint">{r?.unreached?.length ? `No proxy has told what it remembers: ${r.unreached[0]!.why}.` : 'Nothing has passed lately that is remembered.'}</p>
      </section>
    )
  return (
    <section>
      <h3>Recent traffic</h3>
      <p className="verdict">
        {r.different ? <Badge tone="warn">{r.different} decided otherwise</Badge> : <Badge tone="good">Decided as before</Badge>}{' '}
        <span className="quiet">
          of {plural(r.requests, 'request')} since <Ago at={r.from} />
        </span>
      </p>
      <ul>
        {(r.differences ?? []).slice(0, 20).map((g, i) => (
          <li key={i}>
            {(g.examples ?? []).slice(0, 2).map((x, j) => (
              <code className="request" key={j}>
                {x.method} {x.host}
                {x.path} → {x.status}
              </code>
            ))}
            {g.count > 2 && <span className="quiet">and {g.count - 2} more alike</span>}
            <Aspects of={g.aspects} />
          </li>
        ))}
      </ul>
      {(r.undecided > 0 || r.assumed || r.unreached) && (
        <details>
          <summary>{r.undecided > 0 ? `${r.undecided} could not be decided` : 'What was assumed'}</summary>
          <Facts
            of={[
              ...Object.entries(r.notDecided ?? {}).map(([why, n]) => [`${n} not decided`, why] as [string, ReactNode]),
              ...Object.entries(r.assumed ?? {}).map(([why, n]) => [`${n} assumed`, why] as [string, ReactNode]),
              ...(r.unreached ?? []).map((u) => [`${u.proxy || 'some'} not asked`, u.why] as [string, ReactNode]),
            ]}
          />
        </details>
      )}
    </section>
  )
}

function Part({ title, none, n, children }: { title: string; none: string; n: number; children: ReactNode }) {
  return (
    <section>
      <h3>{title}</h3>
      {n ? <ul>{children}</ul> : <p className="hint">{none[0]?.toUpperCase() + none.slice(1)}.</p>}
    </section>
  )
}

export function Problems({ of: list }: { of: Problem[] }) {
  if (!list.length) return null
  return (
    <ul className="matters problems">
      {list.map((p, i) => (
        <li key={i}>
          <Badge tone={p.severity === 'error' ? 'bad' : p.severity === 'warning' ? 'warn' : 'info'}>
            <span className="hidden">{p.severity}</span>
          </Badge>
          <span className="what">
            {p.object && <ObjectLink of={p.object} />} {p.field && <code>{p.field}</code>}
          </span>
          {p.place?.file ? <Where place={p.place} /> : p.place?.line ? <code className="where">line {p.place.line}</code> : <span />}
          <span className="why">
            {p.message}
            {p.remedy && `; ${p.remedy}`} <span className="quiet">({p.code})</span>
          </span>
        </li>
      ))}
    </ul>
  )
}

const Aspects = ({ of: list }: { of: DeltaAspect[] | null }) => (
  <>
    {list?.map((a) => (
      <div className="aspect" key={a.name}>
        {a.name}: <Values was={a.old} now={a.new} />
      </div>
    ))}
  </>
)

function Values({ was, now }: { was: string; now: string }) {
  return (
    <>
      {was && <del>{was}</del>} {was && now && <span aria-hidden="true">→</span>} {now ? <ins>{now}</ins> : was && <span className="quiet">nothing</span>}
    </>
  )
}

const valueText = (v: unknown): string => {
  if (v === undefined || v === null) return ''
  const text = typeof v === 'string' ? v : JSON.stringify(v)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

export function Op({ of: op }: { of: string }) {
  const tone = op === 'added' || op === 'created' ? 'good' : op === 'removed' || op === 'deleted' ? 'bad' : 'info'
  return <Badge tone={tone}>{op}</Badge>
}
