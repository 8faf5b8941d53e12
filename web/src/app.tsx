import { lazy, Suspense, useEffect, useState } from 'react'
import { onUnauthorized, Problem } from './api/client'
import { queries } from './api/queries'
import { comeBack, login, pageKey, tokenOfLink } from './api/session'
import { segments, usePath } from './lib/router'
import { Access } from './pages/access'
import { Compare } from './pages/compare'
import { Checks } from './pages/checks'
import { Configuration } from './pages/configuration'
import { Effective } from './pages/effective'
import { Explain } from './pages/explain'
import { Login } from './pages/login'
import { Mesh } from './pages/mesh'
import { ObjectPage } from './pages/object'
import { Overview } from './pages/overview'
import { RoutePage } from './pages/route'
import { Routes } from './pages/routes'
import { ServicePage } from './pages/service'
import { Services } from './pages/services'
import { TracePage } from './pages/trace'
import { Traces } from './pages/traces'
import { Page, Shell } from './shell'
import { Empty, Loading } from './ui/state'

// Drawing graphs takes more code than the first page.
const Graph = lazy(() => import('./pages/graph').then((m) => ({ default: m.Graph })))
// So does an editor.
const Edit = lazy(() => import('./pages/edit').then((m) => ({ default: m.Edit })))
const New = lazy(() => import('./pages/edit').then((m) => ({ default: m.New })))
const Remove = lazy(() => import('./pages/edit').then((m) => ({ default: m.Remove })))
const Revisions = lazy(() => import('./pages/revisions').then((m) => ({ default: m.Revisions })))
const RevisionPage = lazy(() => import('./pages/revisions').then((m) => ({ default: m.RevisionPage })))

export function App() {
  const [state, setState] = useState<'starting' | 'in' | 'out'>('starting')
  const [wrong, setWrong] = useState('')
  useEffect(
    () =>
      onUnauthorized(() => {
        if (pageKey()) setWrong((w) => w || 'Your session is over. Log in again, and you are back on this page.')
        setState('out')
      }),
    [],
  )
  useEffect(() => {
    const enter = () => setState('in')
    const back = comeBack()
    if (back) {
      back.then(enter, (cause: unknown) => {
        setWrong(cause instanceof Problem ? cause.detail || cause.title : String(cause))
        setState('out')
      })
      return
    }
    const token = tokenOfLink()
    // A token that does not work here is asked for again by the first page.
    if (token) login(token).then(enter, enter)
    else enter()
  }, [])
  if (state === 'starting') return null
  if (state === 'out')
    return (
      <Login
        problem={wrong}
        done={() => {
          setWrong('')
          queries.clear()
          setState('in')
        }}
      />
    )
  return (
    <Shell>
      <Suspense fallback={<Loading what="page" />}>
        <Where />
      </Suspense>
    </Shell>
  )
}

function Where() {
  const [first = 'overview', ...rest] = segments(usePath())
  switch (first) {
    case 'overview':
      return <Overview />
    case 'graph':
      return <Graph />
    case 'routes':
      return rest.length ? <RoutePage key={rest.join('/')} name={rest.join('/')} /> : <Routes />
    case 'services':
      return rest.length ? <ServicePage key={rest.join('/')} name={rest.join('/')} /> : <Services />
    case 'traces':
      if (rest[0] === 'compare') return <Compare />
      return rest[0] ? <TracePage key={rest[0]} id={rest[0]} /> : <Traces />
    case 'requests':
      return <TracePage key={rest[0]} id={rest.join('/')} request />
    case 'configuration':
      return <WhereInConfiguration rest={rest} />
    case 'mesh':
      return <Mesh />
    case 'access':
      return <Access />
    case 'explain':
      return <Explain />
  }
  return (
    <Page title="Nothing here">
      <Empty title="There is no page at this address">Choose one on the left.</Empty>
    </Page>
  )
}

const objectOf = ([kind = '', namespace = '', ...name]: string[]) => ({ kind, namespace: namespace === '-' ? '' : namespace, name: name.join('/') })

function WhereInConfiguration({ rest }: { rest: string[] }) {
  const [first, ...more] = rest
  switch (first) {
    case 'effective':
      return <Effective />
    case 'checks':
      return <Checks />
    case 'new':
      return <New />
    case 'edit':
      return <Edit key={more.join('/')} {...objectOf(more)} />
    case 'delete':
      return <Remove key={more.join('/')} {...objectOf(more)} />
    case 'revisions':
      return more[0] ? <RevisionPage key={more[0]} number={Number(more[0])} /> : <Revisions />
  }
  return rest.length >= 3 ? <ObjectPage key={rest.join('/')} {...objectOf(rest)} /> : <Configuration />
}
