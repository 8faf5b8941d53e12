import { type FormEvent, useEffect, useState } from 'react'
import { Problem } from '../api/client'
import { login } from '../api/session'
import { Mark } from '../shell'

export function Login({ done }: { done: () => void }) {
  const [token, setToken] = useState('')
  const [wrong, setWrong] = useState('')
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    document.title = 'Log in – Gridway'
  }, [])
  const submit = async (e: FormEvent) => {
    e.preventDefault()
    setBusy(true)
    try {
      await login(token)
      done()
    } catch (cause) {
      setWrong(cause instanceof Problem ? cause.detail || cause.title : String(cause))
      setBusy(false)
    }
  }
  return (
    <main className="gate">
      <form onSubmit={(e) => void submit(e)}>
        <h1 className="brand">
          <Mark /> Gridway
        </h1>
        <p className="quiet">This gateway asks for a token of its admin API. A token of the role viewer sees everything but secrets.</p>
        <label>
          Token
          <input type="password" name="token" value={token} onChange={(e) => setToken(e.target.value)} autoComplete="current-password" autoFocus required spellCheck={false} aria-describedby="hint" aria-invalid={wrong !== ''} />
        </label>
        {wrong && (
          <p className="wrong" role="alert">
            {wrong}
          </p>
        )}
        <button type="submit" className="button first" disabled={busy}>
          Log in
        </button>
        <p className="quiet" id="hint">
          The first tokens are shown when the state store is made, or are in the file <code>first-tokens</code> of its folder. Make another with <code>gridway token create</code>.
        </p>
      </form>
    </main>
  )
}
