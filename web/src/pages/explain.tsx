import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useEffect, useState } from 'react'
import { post, type Problem } from '../api/client'
import { useStatus } from '../api/queries'
import type { DryrunDecision, DryrunPassage, DryrunRequest, Status } from '../api/schema.gen'
import { Page } from '../shell'
import { Panel } from '../ui/panel'
import { Empty, Fault, Loading } from '../ui/state'
import { Decision } from './decision'
import { Passage } from './passage'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']

/** The form is in the address, so that a question can be sent to somebody; credentials are not. */
function ofAddress() {
  const q = new URLSearchParams(location.search)
  return { method: q.get('method') ?? 'GET', url: q.get('url') ?? '', headers: q.get('headers') ?? '', client: q.get('client') ?? '', consumer: q.get('consumer') ?? '', identity: q.get('identity') ?? '', at: q.get('at') ?? '', from: q.get('from') ?? '' }
}

type Form = ReturnType<typeof ofAddress>

function requestOf(f: Form, apiKey: string): DryrunRequest {
  const headers = f.headers.split('\n').map((l) => l.trim()).filter(Boolean).map((l) => {
    const at = l.indexOf(':', 1)
    return at < 0 ? { name: l, value: '' } : { name: l.slice(0, at).trim(), value: l.slice(at + 1).trim() }
  })
  const caller = f.consumer || f.identity ? { consumer: f.consumer || undefined, identity: f.identity || undefined } : undefined
  return { method: f.method, url: f.url.trim(), headers, client: f.client || undefined, at: f.at || undefined, caller, credential: apiKey ? { apiKey } : undefined }
}

/** Answer is the decision of this process or, of a request of a service, those of the proxies that it passes. */
type Answer = { decision: DryrunDecision; passage?: undefined } | { passage: DryrunPassage; from: string }

async function decide(f: Form, apiKey: string): Promise<Answer> {
  const request = requestOf(f, apiKey)
  const from = f.from.trim()
  if (!from) return { decision: await post('/v1/explain', request) }
  const [service = '', namespace] = from.split('/').reverse()
  return { passage: await post('/v1/mesh/explain', { service, namespace, request }), from }
}

export function Explain() {
  const [form, setForm] = useState(ofAddress)
  const [apiKey, setKey] = useState('')
  const { data: status } = useStatus()
  const ask = useMutation<Answer, Problem, Form>({ mutationFn: (f) => decide(f, apiKey) })
  const set = (name: keyof Form) => (e: { target: { value: string } }) => setForm({ ...form, [name]: e.target.value })
  const example = exampleOf(status?.listeners.find((l) => l.protocol === 'HTTP')?.name)
  const run = (f: Form) => {
    const q = new URLSearchParams(Object.entries(f).filter(([k, v]) => v && !(k === 'method' && v === 'GET')))
    history.replaceState(null, '', `/console/explain?${q}`)
    ask.mutate(f)
  }
  // A link with a question in it is answered at once.
  useEffect(() => {
    if (form.url) ask.mutate(form)
  }, [])
  const submit = (e: FormEvent) => {
    e.preventDefault()
    const f = form.url ? form : { ...form, url: example }
    setForm(f)
    run(f)
  }
  return (
    <Page title="Explain" about="What would become of a request, and why. Nothing is sent: the configuration in service decides as it would.">
      <div className="columns">
        <div className="span-5">
          <Panel title="The request">
            <form className="form" onSubmit={submit}>
              {(status?.mesh || form.from) && (
                <label>
                  From
                  <input type="text" list="callers" value={form.from} onChange={set('from')} placeholder="a client at the front door" spellCheck={false} autoComplete="off" />
                  <small>A service of the mesh, by its name or NAMESPACE/NAME: what its proxy does then, and what that of the called one does</small>
                  <datalist id="callers">
                    {callersOf(status).map((name) => (
                      <option key={name} value={name} />
                    ))}
                  </datalist>
                </label>
              )}
              <div className="row">
                <label>
                  Method
                  <select value={form.method} onChange={set('method')}>
                    {methods.map((m) => (
                      <option key={m}>{m}</option>
                    ))}
                  </select>
                </label>
                <label>
                  URL
                  <input type="text" value={form.url} onChange={set('url')} placeholder={example} spellCheck={false} autoComplete="off" />
                </label>
              </div>
              <label>
                Headers
                <textarea rows={3} value={form.headers} onChange={set('headers')} placeholder="X-Canary: always" spellCheck={false} />
                <small>One to a line, Name: value</small>
              </label>
              <details open={!!(form.client || form.consumer || form.identity || form.at)}>
                <summary>Who sends it, and when</summary>
                <div className="form">
                  <label>
                    Address of the client
                    <input type="text" value={form.client} onChange={set('client')} placeholder="127.0.0.1" />
                  </label>
                  <label>
                    Consumer
                    <input type="text" value={form.consumer} onChange={set('consumer')} placeholder="default/acme" />
                    <small>It is taken to be authenticated.</small>
                  </label>
                  <label>
                    API key
                    <input type="password" value={apiKey} onChange={(e) => setKey(e.target.value)} autoComplete="off" />
                    <small>It is put where the policy looks for it, and is kept nowhere.</small>
                  </label>
                  <label>
                    SPIFFE ID
                    <input type="text" value={form.identity} onChange={set('identity')} placeholder="spiffe://cluster.local/ns/default/sa/orders" />
                  </label>
                  <label>
                    Time
                    <input type="text" value={form.at} onChange={set('at')} placeholder="2026-11-30T08:00:00+01:00" />
                  </label>
                </div>
              </details>
              <div>
                <button type="submit" className="button first" disabled={ask.isPending}>
                  Explain
                </button>
              </div>
            </form>
          </Panel>
        </div>
        <div className="span-7" aria-live="polite">
          <Panel title="Its path">
            {ask.isPending ? <Loading what="decision" /> : ask.error ? <Fault problem={ask.error} what="decision" /> : ask.data ? <Shown of={ask.data} /> : <Empty title="Ask about a request">The answer is drawn as the path that it would take: listener, route, rule, policies, backends. An empty URL asks about {example}.</Empty>}
          </Panel>
        </div>
      </div>
    </Page>
  )
}

/** callersOf are the services that have a proxy. */
const callersOf = (s: Status | undefined): string[] =>
  [...new Set((s?.mesh?.proxies ?? []).flatMap((p) => (p.role === 'node' ? (p.workloads ?? []).map((w) => `${w.namespace}/${w.service}`) : [p.name.split('/').slice(0, 2).join('/')])))].map((n) => n.replace(/^default\//, '')).sort()

function Shown({ of }: { of: Answer }) {
  return of.passage ? <Passage of={of.passage} from={of.from} /> : <Decision of={of.decision} />
}

const exampleOf = (listener?: string): string => `http://${(listener ?? '127.0.0.1:8080').replace(/^0\.0\.0\.0|^\[::\]/, '127.0.0.1')}/`
