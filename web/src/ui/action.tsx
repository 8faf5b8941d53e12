import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { Problem } from '../api/client'
import { queries } from '../api/queries'
import type { AccessActor } from '../api/schema.gen'

const roles = ['viewer', 'operator', 'admin']

/** may tells whether somebody has a role, or one that includes it. */
export const may = (who: AccessActor | undefined, role: string): boolean => !!who && roles.indexOf(who.role) >= roles.indexOf(role)

interface ActionProps {
  /** label is on the button, title says what is done and to what. */
  label: string
  title: string
  /** name is for screen readers, where many buttons have the same label. */
  name?: string
  /** grave actions take something away. */
  grave?: boolean
  small?: boolean
  /** children say what it will do, and ask for what it needs. */
  children: ReactNode
  /** run does it; what it answers is shown before the dialog goes. */
  run: (form: FormData) => Promise<ReactNode | void>
  /** after are the paths whose answers are others then. */
  after: string[]
}

/** Action is a button that says what it will do, and does it when that is confirmed. */
export function Action({ label, title, name, grave, small, children, run, after }: ActionProps) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <button type="button" className={small ? 'button small' : 'button'} aria-haspopup="dialog" aria-label={name ? `${label} ${name}` : undefined} onClick={() => setOpen(true)}>
        {label}
      </button>
      {open && (
        <Dialog title={title} label={label} grave={grave} run={run} after={after} close={() => setOpen(false)}>
          {children}
        </Dialog>
      )}
    </>
  )
}

type DialogProps = Omit<ActionProps, 'name' | 'small'> & { close: () => void }

function Dialog({ label, title, grave, children, run, after, close }: DialogProps) {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<Problem>()
  const [result, setResult] = useState<ReactNode>()
  useEffect(() => dialog.current?.showModal(), [])
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault()
    setBusy(true)
    setWrong(undefined)
    try {
      const said = await run(new FormData(e.currentTarget))
      // What is in service follows the store a moment later.
      for (const wait of [0, 1000, 5000]) setTimeout(() => void queries.invalidateQueries({ predicate: (q) => after.includes(String(q.queryKey[0])) }), wait)
      if (said) setResult(said)
      else dialog.current?.close()
    } catch (cause) {
      setWrong(cause instanceof Problem ? cause : new Problem(0, 'It has failed', String(cause)))
    }
    setBusy(false)
  }
  return (
    // What is shown once must not go by a key that was meant for something else.
    <dialog ref={dialog} className="dialog" aria-labelledby={id} onClose={close} onCancel={(e) => result && e.preventDefault()}>
      <h2 id={id}>{title}</h2>
      {result ? (
        <div className="form">
          {result}
          <div className="buttons">
            <button type="button" className="button first" onClick={() => dialog.current?.close()}>
              Close
            </button>
          </div>
        </div>
      ) : (
        <form className="form" onSubmit={(e) => void submit(e)}>
          {children}
          {wrong && <Wrong problem={wrong} />}
          <div className="buttons">
            <button type="button" className="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="submit" className={grave ? 'button grave' : 'button first'} disabled={busy}>
              {label}
            </button>
          </div>
        </form>
      )}
    </dialog>
  )
}

function Wrong({ problem: p }: { problem: Problem }) {
  return (
    <div className="wrong" role="alert">
      <p>{p.detail || p.title}</p>
      {p.problems.map((x, i) => (
        <p key={i}>
          {x.field && <code>{x.field}</code>} {x.message}
          {x.remedy && `; ${x.remedy}`}
        </p>
      ))}
    </div>
  )
}

/** Secret is shown this once. */
export function Secret({ text, children }: { text: string; children: ReactNode }) {
  const [copied, setCopied] = useState(false)
  return (
    <>
      <p>{children}</p>
      <p className="secret">
        <code>{text}</code>
      </p>
      {/* Browsers have a clipboard for pages by https and of this machine alone. */}
      {navigator.clipboard && (
        <button type="button" className="button" onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </>
  )
}

interface FieldProps {
  label: string
  name: string
  hint?: ReactNode
  value?: string
  placeholder?: string
  required?: boolean
  number?: boolean
  /** of makes it a choice: values and their names. */
  of?: [string, string][]
}

export function Field({ label, name, hint, value, placeholder, required, number, of }: FieldProps) {
  return (
    <label>
      {label}
      {of ? (
        <select name={name} defaultValue={value}>
          {of.map(([v, text]) => (
            <option key={v} value={v}>
              {text}
            </option>
          ))}
        </select>
      ) : (
        <input type={number ? 'number' : 'text'} min={number ? 0 : undefined} name={name} defaultValue={value} placeholder={placeholder} required={required} spellCheck={false} autoComplete="off" />
      )}
      {hint && <small>{hint}</small>}
    </label>
  )
}

export const textOf = (form: FormData, name: string): string => String(form.get(name) ?? '').trim()

/** wordsOf are the words of a field, with commas or spaces between. */
export function wordsOf(form: FormData, name: string): string[] | undefined {
  const list = textOf(form, name).split(/[\s,]+/).filter(Boolean)
  return list.length ? list : undefined
}

const hour = 3_600_000

/** ends are for how long something holds, in hours; empty is for ever. */
export const ends: [string, string][] = [
  ['1', 'an hour'],
  ['24', 'a day'],
  ['168', 'a week'],
  ['720', '30 days'],
  ['8760', 'a year'],
]

/** endOf is the time that a choice of ends means. */
export function endOf(form: FormData, name: string): string | undefined {
  const hours = Number(textOf(form, name))
  return hours ? new Date(Date.now() + hours * hour).toISOString().replace(/\.\d+/, '') : undefined
}
