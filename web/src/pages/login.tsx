import { type FormEvent, useEffect, useState } from 'react'
import { Problem } from '../api/client'
import type { Provider, Ways } from '../api/schema.gen'
import { goToProvider, login, ways } from '../api/session'
import { Mark } from '../shell'

const textOf = (cause: unknown) => (cause instanceof Problem ? cause.detail || cause.title : String(cause))

interface LoginProps {
  /** problem is what went wrong before, somewhere else. */
  problem: string
  done: () => void
}

export function Login({ problem, done }: LoginProps) {
  const [how, setHow] = useState<Ways>()
  const [wrong, setWrong] = useState(problem)
  useEffect(() => {
    document.title = 'Log in – Gridway'
    // Without an answer there is still the form, which will say so.
    ways().then(setHow, () => setHow({ token: true }))
  }, [])
  if (!how) return null
  return (
    <main className="gate">
      <div className="card">
        <h1 className="brand">
          <Mark /> Gridway
        </h1>
        {wrong && (
          <p className="wrong" role="alert">
            {wrong}
          </p>
        )}
        {how.oidc && <Elsewhere at={how.oidc} fail={setWrong} />}
        {how.oidc && how.token && <p className="or">or</p>}
        {(how.token || !how.oidc) && <WithToken first={!how.oidc} wrong={wrong !== ''} fail={setWrong} done={done} />}
      </div>
    </main>
  )
}

/** Elsewhere is the way over an OpenID provider, which leads back to one address of the console alone. */
function Elsewhere({ at, fail }: { at: Provider; fail: (text: string) => void }) {
  const [busy, setBusy] = useState(false)
  const here = new URL(at.console).origin === location.origin
  const go = () => {
    setBusy(true)
    fail('')
    goToProvider().catch((cause: unknown) => {
      fail(textOf(cause))
      setBusy(false)
    })
  }
  return (
    <>
      {here ? (
        <button type="button" className="button first" disabled={busy} onClick={go} autoFocus>
          Log in with {at.name}
        </button>
      ) : (
        <a className="button first" href={at.console}>
          Log in with {at.name}
        </a>
      )}
      {!here && (
        <p className="quiet">
          It leads back to <code>{at.console}</code>, where you get by this link.
        </p>
      )}
      {at.away && <p className="quiet">{at.name} could not be asked lately. Try it, or log in with a token.</p>}
    </>
  )
}

interface TokenProps {
  first: boolean
  wrong: boolean
  fail: (text: string) => void
  done: () => void
}

function WithToken({ first, wrong, fail, done }: TokenProps) {
  const [token, setToken] = useState('')
  const [busy, setBusy] = useState(false)
  const submit = async (e: FormEvent) => {
    e.preventDefault()
    setBusy(true)
    try {
      await login(token)
      done()
    } catch (cause) {
      fail(textOf(cause))
      setBusy(false)
    }
  }
  return (
    <form onSubmit={(e) => void submit(e)}>
      <p className="quiet">{first ? 'This gateway asks for a token of its admin API.' : 'Log in with a token of the admin API.'} A token of the role viewer sees everything but secrets.</p>
      <label>
        Token
        <input type="password" name="token" value={token} onChange={(e) => setToken(e.target.value)} autoComplete="current-password" autoFocus={first} required spellCheck={false} aria-describedby="hint" aria-invalid={wrong} />
      </label>
      <button type="submit" className={first ? 'button first' : 'button'} disabled={busy}>
        Log in
      </button>
      <p className="quiet" id="hint">
        The first tokens are shown when the state store is made, or are in the file <code>first-tokens</code> of its folder. Make another with <code>gridway token create</code>.
      </p>
    </form>
  )
}
