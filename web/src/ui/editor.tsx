import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { yaml } from '@codemirror/lang-yaml'
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint'
import { Compartment, EditorState } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, hoverTooltip, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useEffect, useRef } from 'react'
import type { Schemas } from '../lib/schema'
import { complete, describe, type Names } from '../lib/complete'

/** Mark is something to be said about a place of the text. */
export interface Mark {
  /** line and column count from 1. */
  line: number
  column?: number
  severity: 'error' | 'warning' | 'info'
  message: string
}

interface EditorProps {
  /** text is what it begins with; another one replaces what was written. */
  text: string
  label: string
  changed: (text: string) => void
  marks: Mark[]
  schemas: Schemas | undefined
  /** names are the objects that there are, to be named in references. */
  names: Names
}

// Colours are the page's, which know light from dark by themselves.
const colours = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: 'var(--accent)' },
  { tag: [tags.string, tags.content], color: 'var(--text)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--info)' },
  { tag: tags.quote, color: 'var(--good)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--quiet)', fontStyle: 'italic' },
  { tag: [tags.meta, tags.separator, tags.punctuation, tags.brace, tags.squareBracket], color: 'var(--quiet)' },
])

const theme = EditorView.theme({
  '&': { backgroundColor: 'var(--surface)', color: 'var(--text)', height: '100%', fontSize: '12.5px' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', overflow: 'auto' },
  '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--quiet)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--raised) 55%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--accent-soft)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft) !important', outline: '1px solid var(--line-strong)' },
  '.cm-tooltip': { backgroundColor: 'var(--surface)', color: 'var(--text)', border: '1px solid var(--line-strong)', borderRadius: '6px', boxShadow: 'var(--shadow)', fontFamily: 'var(--sans)', fontSize: '13px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '16em' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--quiet)', fontStyle: 'normal', marginLeft: '12px' },
  '.cm-tooltip.cm-completionInfo, .about': { padding: '8px 10px', maxWidth: '420px', whiteSpace: 'pre-line', maxHeight: '260px', overflowY: 'auto' },
  '.about b': { fontFamily: 'var(--mono)' },
  '.about .type': { color: 'var(--quiet)', display: 'block', marginBottom: '4px' },
  '.cm-diagnostic': { borderLeftWidth: '3px', padding: '6px 10px' },
  '.cm-foldPlaceholder': { backgroundColor: 'var(--raised)', border: 'none', color: 'var(--quiet)' },
})

const help = 'Escape, and then Tab, leaves the editor.'

/**
 * Editor is for YAML of our kinds. It lives in a shadow tree: its styles are sheets made by script there, where the
 * policy of the pages lets nobody write style elements.
 */
export default function Editor({ text, label, changed, marks, schemas, names }: EditorProps) {
  const host = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(undefined)
  const say = useRef(changed)
  say.current = changed
  const known = useRef({ schemas, names })
  known.current = { schemas, names }
  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open' })
    const language = new Compartment()
    const v = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(), highlightActiveLine(), highlightActiveLineGutter(), indentOnInput(), bracketMatching(), closeBrackets(),
          indentUnit.of('  '), EditorState.tabSize.of(2), language.of(yaml()), syntaxHighlighting(colours), theme, EditorView.lineWrapping,
          autocompletion({ override: [(c) => complete(c, known.current.schemas, known.current.names)], icons: false }),
          hoverTooltip((v, at) => describe(v, at, known.current.schemas)),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...foldKeymap, indentWithTab, ...defaultKeymap]),
          EditorView.contentAttributes.of({ 'aria-label': `${label}. ${help}`, spellcheck: 'false', autocapitalize: 'off' }),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) say.current(u.state.doc.toString())
          }),
        ],
      }),
    })
    view.current = v
    return () => v.destroy()
    // The text and the label are of the page, which makes another editor for another object.
  }, [text])
  useEffect(() => {
    const v = view.current
    if (!v) return
    const list = marks.map((m): Diagnostic => {
      const line = v.state.doc.line(Math.min(Math.max(1, m.line), v.state.doc.lines))
      const from = Math.min(line.from + Math.max(0, (m.column ?? 1) - 1), line.to)
      const word = /^[\w./-]+/.exec(line.text.slice(from - line.from))
      return { from, to: Math.min(line.to, from + Math.max(1, word?.[0].length ?? 1)), severity: m.severity, message: m.message }
    })
    v.dispatch(setDiagnostics(v.state, list.sort((a, b) => a.from - b.from)))
  }, [marks, text])
  return (
    <>
      <div className="editor" ref={host} />
      <p className="hint">{help} Control-Space completes; what a field means is shown where the mouse rests.</p>
    </>
  )
}
