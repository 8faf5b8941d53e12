// Written by scripts/types.mjs from docs/reference/admin-api.openapi.json. Do not edit.

/** What GET of each path answers. */
export interface Gets {
  '/healthz': Health
  '/metrics': undefined
  '/readyz': Health
  '/v1/audit': AccessChange[]
  '/v1/clusters': Cluster[]
  '/v1/config': unknown
  '/v1/consumers': Consumer[]
  '/v1/graph': SignalsGraph
  '/v1/log/level': LogLevel
  '/v1/login': Ways
  '/v1/mesh/authority': IdentityAuthorityState
  '/v1/mesh/denials': MembershipDenial[]
  '/v1/mesh/identities': MembershipCertificate[]
  '/v1/mesh/routes': DryrunRow[]
  '/v1/mesh/tokens': MembershipToken[]
  '/v1/mesh/traffic': EvidenceFlow[]
  '/v1/objects': ConfigObject[]
  '/v1/objects/{kind}': ConfigObject[]
  '/v1/objects/{kind}/{namespace}/{name}': ConfigObject
  '/v1/requests/{id}': Request
  '/v1/revisions': ObjectsRevision[]
  '/v1/revisions/{number}': ObjectsRevision
  '/v1/routes': RouteRow[]
  '/v1/schema': undefined
  '/v1/sessions': AccessSession[]
  '/v1/signals': SignalsSeries
  '/v1/status': Status
  '/v1/tap': TapEvent
  '/v1/tokens': AccessToken[]
  '/v1/top': MetricSnapshot
  '/v1/traces': Traces
  '/v1/traces/{id}': Trace
  '/v1/troubles': Troubles
  '/v1/whoami': AccessActor
}

/** What POST of each path takes and answers. */
export interface Posts {
  '/v1/apply': { takes: undefined; gives: ObjectsApplied }
  '/v1/consumers': { takes: undefined; gives: Record<string, unknown> }
  '/v1/effect': { takes: undefined; gives: Effect }
  '/v1/explain': { takes: DryrunRequest; gives: DryrunDecision }
  '/v1/login/oidc': { takes: BeginLogin; gives: Begun }
  '/v1/mesh/denials': { takes: MembershipDenial; gives: MembershipDenial }
  '/v1/mesh/explain': { takes: DryrunPassageRequest; gives: DryrunPassage }
  '/v1/mesh/tokens': { takes: MembershipNewToken; gives: MembershipCreatedToken }
  '/v1/revisions/{number}/rollback': { takes: undefined; gives: ObjectsApplied }
  '/v1/session': { takes: Login; gives: Session }
  '/v1/session/oidc': { takes: SigninAnswer; gives: Session }
  '/v1/tokens': { takes: AccessNewToken; gives: AccessCreatedToken }
}

export interface BeginLogin {
}

export interface Begun {
  next: string
}

export interface BehaviourChange {
  aspects: DeltaAspect[]
  count: number
  examples: RequestExample[]
}

export interface Certificate {
  directory: string
  error?: string
  failedAt?: string
  failures?: number
  issuer: string
  names: string[]
  nextTry?: string
  notAfter?: string
  notBefore?: string
  phase: string
  secret: string
  serial?: string
  valid: boolean
}

export interface Cluster {
  algorithm: string
  breaker: string
  connections: number
  endpoints: Endpoint[]
  idle: number
  name: string
  pending: number
  protocol?: string
  requests: number
  retries: number
  retryBudget: number
}

export interface Condition {
  message?: string
  observedGeneration?: number
  of?: string
  reason: string
  status: string
  type: string
}

export interface Consumer {
  credentials: ConsumerCredential[]
  groups?: string[]
  labels?: Record<string, string>
  name: string
  namespace: string
  plan?: string
}

export interface ConsumerCredential {
  kind: string
  lastUsed?: string
  name: string
  notAfter?: string
  notBefore?: string
}

export interface Dependency {
  error?: string
  kept?: boolean
  kind: string
  name: string
  owner: string
  place?: string
  since?: string
  up: boolean
}

export interface Effect {
  behaviour: BehaviourChange[]
  behaviourOmitted?: number
  inFiles: PlacedObject[]
  listeners: DeltaSettingChange[]
  notCompared?: string[]
  objects: DeltaObjectChange[]
  pairsBounded?: boolean
  problems: Problem[]
  replay?: ReplayPassed
  requestsTried: number
  revision: number
  unfinished?: string
  valid: boolean
}

export interface ElectionStatus {
  process: string
  read?: string
  self: boolean
  term: number
}

export interface Ended {
  next?: string
  sessions: number
}

export interface Endpoint {
  active: number
  address: string
  cause?: string
  /** nanoseconds */
  ejectedFor?: number
  failures: number
  hostname?: string
  idle: number
  /** nanoseconds */
  latency: number
  origin?: string
  priority?: number
  slowStart?: boolean
  state: string
  tries: number
  weight: number
  zone?: string
}

export interface Failure {
  at: string
  error: string
}

export interface Health {
  state: string
  status: string
}

export interface Hop {
  authMethod?: string
  client?: string
  cluster?: string
  consumer?: string
  decisions?: TraceDecision[]
  denied?: boolean
  depth: number
  destination?: string
  detail?: string
  /** nanoseconds */
  duration: number
  endpoint?: string
  endpointIdentity?: string
  failed?: boolean
  flags?: string
  grpcMethod?: string
  grpcService?: string
  grpcStatus?: string
  host?: string
  listener?: string
  method?: string
  of?: string
  parentID?: string
  path?: string
  peerIdentity?: string
  place?: TracePlace
  protocol?: string
  proxy?: string
  purpose?: string
  questions?: TraceQuestion[]
  reason?: string
  requestBytes: number
  requestID?: string
  responseBytes: number
  revision?: number
  route?: string
  rule?: string
  sampled?: boolean
  scheme?: string
  serverName?: string
  side: string
  slow?: boolean
  spanID: string
  start: string
  status?: number
  stream?: boolean
  subject?: string
  through?: number
  traceID: string
  tries?: TraceTry[]
  userAgent?: string
}

export interface ListenerStatus {
  alpn?: string[]
  connections: number
  /** nanoseconds */
  detectTimeout?: number
  earlyData?: boolean
  error?: string
  name: string
  nextTry?: string
  protocol: string
  proxyProtocol?: string
  sections: string[]
  speaks: string[]
  state: string
  tries?: number
}

export interface LogLevel {
  level: string
}

export interface Login {
  token: string
}

export interface MemberControl {
  fromDisk?: boolean
  name?: string
  problem?: string
  refused?: string[]
  since: string
  target?: string
}

export interface MemberStatus {
  address: string
  control: MemberControl
  denied?: number
  identity: string
  name: string
  role: string
  services: string[]
  svids: SVID[]
  trustDomains: TrustDomain[]
  withheld?: WithheldWorkload[]
  zone?: string
}

export interface MeshFederation {
  error?: string
  fetched?: string
  roots: number
  sequence?: number
  trustDomain: string
  url: string
}

export interface MeshPeer {
  address?: string
  edges: number
  error?: string
  known: boolean
  name: string
  services: number
  since: string
  trustDomain: string
}

export interface MeshProxy {
  control: string
  identity: string
  name: string
  refusals?: MeshRefusal[]
  revision: number
  role: string
  services: string[]
  since: string
  state: string
  version?: string
  wanted: number
  why?: string
  withheld?: WithheldWorkload[]
  workloads?: MeshWorkload[]
  zone?: string
}

export interface MeshRefusal {
  kind?: string
  name?: string
  reason: string
}

export interface MeshSVIDJoins {
  error?: string
  file: string
  grants: number
  read: string
}

export interface MeshStatus {
  address: string
  control: string
  federation?: MeshFederation[]
  peers?: MeshPeer[]
  proxies: MeshProxy[]
  revision: number
  serving: number
  svidJoins?: MeshSVIDJoins
  trustDomain: string
}

export interface MeshWorkload {
  healthy: boolean
  name?: string
  namespace: string
  service: string
}

export interface ConfigObject {
  apiVersion: string
  hash?: string
  kind: string
  name: string
  namespace?: string
  place?: Place
  problems?: Problem[]
  revision?: number
  source?: string
  status?: Record<string, unknown>
  text?: string
  value?: Record<string, unknown>
}

export interface ObjectStatus {
  addresses?: string[]
  attachedListenerSets?: number
  conditions: Condition[]
  object: string
  place?: Place
  sections?: SectionStatus[]
}

export interface Place {
  column?: number
  file?: string
  line?: number
}

export interface PlacedObject {
  object: string
  place: Place
}

export interface Predecessor {
  connections: number
  pid: number
  version: string
}

export interface Problem {
  code: string
  field?: string
  message: string
  object?: string
  place?: Place
  remedy?: string
  severity: string
}

export interface Provider {
  away?: boolean
  console: string
  name: string
}

export interface RateLimitStoreStatus {
  error?: string
  kind: string
  name: string
  since?: string
  state: string
}

export interface Refused {
  lastGood?: number
  object: string
  place?: Place
  since: string
  why: string[]
}

export interface Request {
  hops: Hop[]
  requestID: string
  unreached?: TraceUnreached[]
}

export interface RequestExample {
  headers?: IrHeader[]
  method: string
  url: string
}

export interface Revision {
  at?: string
  number: number
  sources?: string[]
  /** nanoseconds */
  took?: number
}

export interface RouteRow {
  backends: string[]
  hostnames: string[]
  listener: string
  match: string
  place?: Place
  policies?: string[]
  route: string
  rule: number
  ruleName?: string
  section: string
}

export interface SVID {
  id: string
  notAfter: string
  notBefore: string
  serial: string
}

export interface SectionStatus {
  attachedRoutes: number
  name: string
  supportedKinds: string[]
}

export interface Session {
  expires: string
  name: string
  pageKey: string
  peer?: string
  role: string
}

export interface SinkSignal {
  lastFailure?: string
  lastSuccess?: string
  lost?: Record<string, number>
  queueLimit?: number
  queueLimitBytes?: number
  queued: number
  queuedBytes: number
  retries: number
  sent: number
  signal: string
}

export interface SinkStatus {
  address?: string
  error?: string
  kind: string
  name: string
  signals: SinkSignal[]
  since?: string
  state: string
}

export interface Status {
  certificates: Certificate[]
  dependencies: Dependency[]
  election?: ElectionStatus
  lastFailure?: Failure
  listeners: ListenerStatus[]
  member?: MemberStatus
  mesh?: MeshStatus
  moreTroubles?: number
  objects: Record<string, number>
  pid: number
  predecessor?: Predecessor
  problems: Problem[]
  rateLimitStores: RateLimitStoreStatus[]
  ready: boolean
  refused: Refused[]
  revision: Revision
  sinks: SinkStatus[]
  started: string
  state: string
  statuses: ObjectStatus[]
  troubles: Trouble[]
  version: string
}

export interface Trace {
  hops: Hop[]
  traceID: string
  unreached?: TraceUnreached[]
}

export interface Traces {
  traces: TraceSummary[]
  unreached?: TraceUnreached[]
}

export interface Trouble {
  cluster: string
  detail?: string
  endpoint?: string
  endpoints?: number
  kind: string
  over?: string
  proxies?: string[]
  seenBy: number
  since: string
  times?: number
}

export interface Troubles {
  more?: number
  troubles: Trouble[]
}

export interface TrustDomain {
  name: string
  notAfter?: string
  roots: number
}

export interface Ways {
  oidc?: Provider
  token: boolean
}

export interface WithheldWorkload {
  reason: string
  workload: string
}

export interface AccessActor {
  name: string
  peer?: string
  role: string
}

export interface AccessChange {
  action: string
  actor: string
  after?: Record<string, unknown>
  at: string
  before?: Record<string, unknown>
  id: number
  object: string
  peer?: string
  role: string
}

export interface AccessCreatedToken {
  created: string
  expires?: string
  id: string
  lastUsed?: string
  name: string
  role: string
  token: string
}

export interface AccessNewToken {
  expires?: string
  name: string
  role: string
}

export interface AccessSession {
  began: string
  current?: boolean
  ends: string
  id: string
  name: string
  peer?: string
  role: string
}

export interface AccessToken {
  created: string
  expires?: string
  id: string
  lastUsed?: string
  name: string
  role: string
}

export interface AuthenticationFinding {
  detail?: string
  fault?: string
  kind: string
  method: string
  outcome: string
}

export interface AuthorizationFailure {
  field: string
  ref?: IrRef
  rule: string
}

export interface AuthorizationFinding {
  action?: string
  broken?: boolean
  dryRun?: boolean
  fails?: AuthorizationFailure[]
  omitted?: number
  policy: string
  ref?: IrRef
  rule?: string
  ruleRef?: IrRef
}

export interface DeltaAspect {
  name: string
  new: string
  old: string
}

export interface DeltaField {
  new?: unknown
  old?: unknown
  op: string
  path: string
}

export interface DeltaObjectChange {
  fields?: DeltaField[]
  object: string
  op: string
  place?: string
}

export interface DeltaSettingChange {
  aspects: DeltaAspect[] | null
  of: string
}

export interface DryrunBackend {
  balance?: string
  cluster?: string
  /** nanoseconds */
  connectTimeout?: number
  endpoints?: IrEndpoint[]
  filters?: IrFilters
  name: string
  percent: number
  problem?: string
  ref?: IrRef
  responseHeaders?: IrHeader[]
  sources?: string[]
  upstream?: DryrunUpstream
  weight: number
}

export interface DryrunCall {
  binding?: string
  body?: string
  clientStreams?: boolean
  from: string
  message?: Record<string, unknown>
  method: string
  responseBody?: string
  serverStreams?: boolean
  service: string
  variables?: DryrunVariable[]
}

export interface DryrunCaller {
  consumer?: string
  credential?: string
  groups?: string[]
  issuer?: string
  method: string
  plan?: string
  scopes?: string[]
  subject?: string
}

export interface DryrunCandidate {
  match?: string
  name?: string
  outcome?: string
  ref?: IrRef
  rule: string
  why: string
}

export interface DryrunCredential {
  apiKey?: string
  basic?: string
  token?: string
}

export interface DryrunDecision {
  action: string
  authenticatedBy?: string
  authentication?: AuthenticationFinding[]
  authorization?: AuthorizationFinding[]
  backends?: DryrunBackend[]
  call?: DryrunCall
  caller?: DryrunCaller
  decidedBy?: string
  decidedByRule?: string
  filters?: IrFilters
  listener?: string
  match?: IrMatch
  mirrors?: DryrunMirror[]
  notes?: string[]
  omitted?: number
  otherSections?: DryrunCandidate[]
  others?: DryrunCandidate[]
  policies?: IrRef[]
  policy?: IrRoutePolicy
  rateLimits?: DryrunRateLimit[]
  reply?: DryrunLocal
  request: DryrunRequest
  route?: DryrunPlace
  rule?: DryrunPlace
  ruleIndex?: number
  section?: DryrunPlace
  sectionWhy?: string
  stream?: DryrunStream
  templates?: DryrunTemplate[]
}

export interface DryrunGRPCStatus {
  code: number
  httpStatus: number
  name: string
}

export interface DryrunImagined {
  certificate?: string
  claims?: Record<string, unknown>
  consumer?: string
  identity?: string
  method?: string
}

export interface DryrunLocal {
  body?: string
  detail?: string
  grpc?: DryrunGRPCStatus
  headers?: IrHeader[]
  reason?: string
  status?: number
}

export interface DryrunMeshParent {
  clients?: string
  namespace: string
  origin: string
  port: number
  portName?: string
  service: string
}

export interface DryrunMirror {
  cluster: string
  name: string
  percent: number
}

export interface DryrunPassage {
  client?: DryrunDecision
  egress?: string
  host: string
  note?: string
  server?: DryrunDecision
  service?: string
}

export interface DryrunPassageRequest {
  namespace?: string
  request: DryrunRequest
  service: string
}

export interface DryrunPlace {
  name: string
  ref?: IrRef
}

export interface DryrunRateLimit {
  applies: boolean
  cost?: number
  key?: string
  limit: string
  name: string
  note?: string
  policy: string
  ref?: IrRef
}

export interface DryrunRequest {
  at?: string
  caller?: DryrunImagined
  client?: string
  credential?: DryrunCredential
  headers?: IrHeader[]
  listener?: string
  method?: string
  url: string
}

export interface DryrunRow {
  hostname?: string
  listener?: string
  match: string
  mesh?: DryrunMeshParent
  ref?: IrRef
  route: string
  rule: string
  section?: string
  to: string[] | null
}

export interface DryrunStream {
  attempts?: number
  hostname?: string
  /** nanoseconds */
  idle?: number
  /** nanoseconds */
  maxStream?: number
  tls?: string
}

export interface DryrunTemplate {
  binding: string
  method: string
  service: string
  why: string
}

export interface DryrunUpstream {
  headers?: IrHeader[]
  host: string
  method: string
  path: string
  query?: string
  scheme: string
}

export interface DryrunVariable {
  field: string
  value: string
}

export interface EvidenceFlow {
  addresses: number
  count: number
  failed?: number
  first: string
  last: string
  meanMicroseconds: number
  method?: string
  namespace: string
  overflow?: boolean
  path?: string
  policy?: string
  port: number
  protocol: string
  service: string
  source?: string
  verdict: string
}

export interface IdentityAuthorityKey {
  ends?: string
  fingerprint: string
  keptUntil?: string
  purpose: string
  serial: number
  signs: boolean
  signsFrom: string
}

export interface IdentityAuthorityState {
  authorities: IdentityAuthorityKey[] | null
  bundle?: Record<string, unknown>
  read: string
  trustDomain: string
}

export interface IrAPIKeyAuth {
  forward?: boolean
  from: IrCredentialSource[] | null
}

export interface IrAccessLogPolicy {
  fields?: IrLogField[]
  hiddenHeaders?: string[]
  hiddenParameters?: string[]
  off?: boolean
  ownSinks?: boolean
  query?: string
  sampling?: IrLogSampling[]
  sinks?: string[]
  template?: boolean
}

export interface IrAdmission {
  defaultPriority?: number
  initial: number
  maxConcurrency: number
  maxQueue?: number
  minConcurrency: number
  priorityHeader?: string
  /** nanoseconds */
  queueTimeout?: number
  scope: string
  /** nanoseconds */
  targetLatency?: number
}

export interface IrAuthentication {
  anyOf?: IrAuthenticationMethod[]
  broken?: boolean
  everyNamespace?: boolean
  headers?: IrCallerHeader[]
  namespace: string
  optional?: boolean
  policy: string
  realm?: string
}

export interface IrAuthenticationMethod {
  apiKey?: IrAPIKeyAuth
  basic?: IrBasicAuth
  clientCertificate?: IrClientCertificateAuth
  external?: IrExternalAuth
  hmac?: IrHMACAuth
  introspection?: IrIntrospectionAuth
  jwt?: IrJWTAuth
  name: string
  oidc?: IrOIDCAuth
}

export interface IrAuthorization {
  action?: string
  broken?: boolean
  dryRun?: boolean
  hash?: number
  policy: string
  ref: IrRef
  rules?: IrAuthorizationRule[]
}

export interface IrAuthorizationConditions {
  authenticationMethods?: string[]
  claims?: IrValueCondition[]
  clientIPs?: string[]
  consumers?: string[]
  groups?: string[]
  grpcMethods?: IrGRPCMethodPattern[]
  headers?: IrValueCondition[]
  hosts?: string[]
  identities?: string[]
  labels?: IrLabelCondition[]
  methods?: string[]
  namespaces?: string[]
  paths?: IrPathMatch[]
  plans?: string[]
  ports?: number[]
  scopes?: string[]
  serverNames?: string[]
  times?: IrTimeWindow[]
}

export interface IrAuthorizationRule {
  authenticationMethods?: string[]
  cel?: string
  claims?: IrValueCondition[]
  clientIPs?: string[]
  consumers?: string[]
  groups?: string[]
  grpcMethods?: IrGRPCMethodPattern[]
  headers?: IrValueCondition[]
  hosts?: string[]
  identities?: string[]
  labels?: IrLabelCondition[]
  methods?: string[]
  name: string
  namespaces?: string[]
  not?: IrAuthorizationConditions
  paths?: IrPathMatch[]
  plans?: string[]
  ports?: number[]
  ref: IrRef
  scopes?: string[]
  serverNames?: string[]
  times?: IrTimeWindow[]
}

export interface IrBandwidth {
  request?: number
  response?: number
}

export interface IrBasicAuth {
  forward?: boolean
}

export interface IrBodyShield {
  contentTypes?: string[]
  json?: IrJSONLimits
  policy: string
}

export interface IrBridge {
  connect?: boolean
  grpcWeb?: boolean
  maxMessageBytes: number
}

export interface IrBuffer {
  requestBytes?: number
  responseBytes?: number
}

export interface IrCORS {
  allowCredentials?: boolean
  allowHeaders?: string[]
  allowMethods?: string[]
  allowOrigins?: string[]
  exposeHeaders?: string[]
  /** nanoseconds */
  maxAge?: number
}

export interface IrCSRF {
  exemptPaths?: IrPathMatch[]
  policy: string
  trustedOrigins?: string[]
}

export interface IrCacheKeyPart {
  name?: string
  type: string
}

export interface IrCallerHeader {
  claim?: string[]
  name: string
  value?: string
}

export interface IrCallers {
  consumers?: string[]
  groups?: string[]
  plans?: string[]
  unknown?: boolean
}

export interface IrCertificateRule {
  commonNames?: string[]
  dnsNames?: string[]
  emails?: string[]
  fingerprints?: string[]
  identities?: string[]
  ips?: string[]
  issuers?: string[]
  organizationalUnits?: string[]
  organizations?: string[]
  subjects?: string[]
  uris?: string[]
}

export interface IrClientCertificateAuth {
  allow?: IrCertificateRule[]
  consumer?: string[]
  consumerRequired?: boolean
  fromHeader?: boolean
  revocation?: IrRevocation
}

export interface IrCompression {
  algorithms?: string[]
  contentTypes?: string[]
  decompressRequests?: boolean
  decompressResponses?: boolean
  level?: number
  maxBytes?: number
  maxRatio?: number
  minBytes?: number
}

export interface IrCredentialSource {
  cookie?: string
  header?: string
  prefix?: string
  query?: string
}

export interface IrDirectResponse {
  body?: string
  headers?: IrHeader[]
  status: number
}

export interface IrEndpoint {
  address: string
  draining?: boolean
  hostname?: string
  identity?: string
  origin?: string
  priority?: number
  serverName?: string
  weight: number
  zone?: string
}

export interface IrExternalAuth {
  allowed?: IrHeaderSet
  backend: string
  cache?: IrExternalCache
  cluster?: string
  consumer?: string[]
  consumerRequired?: boolean
  context?: IrHeader[]
  denied?: IrHeaderSet
  failOpen?: boolean
  get?: boolean
  grpc?: boolean
  maxBody?: number
  onlyOK?: boolean
  partialBody?: boolean
  prefix?: string
  problem?: string
  replace?: boolean
  send?: IrHeaderSet
  take?: IrHeaderSet
  /** nanoseconds */
  timeout: number
}

export interface IrExternalCache {
  key: IrCacheKeyPart[] | null
  /** nanoseconds */
  ttl: number
}

export interface IrFault {
  abortPercent?: number
  abortStatus?: number
  /** nanoseconds */
  delay?: number
  delayPercent?: number
}

export interface IrFilters {
  cors?: IrCORS
  externalAuth?: IrExternalAuth[]
  mirrors?: IrMirror[]
  redirect?: IrRedirect
  requestHeaders?: IrHeaderMods
  responseHeaders?: IrHeaderMods
  rewrite?: IrRewrite
  tokenIssuer?: string
}

export interface IrGRPCMatch {
  method?: string
  service?: string
  type: string
}

export interface IrGRPCMethodPattern {
  method?: string
  service?: string
}

export interface IrGlobalLimit {
  counter: string
  group: string
  onError: string
  store?: string
  /** nanoseconds */
  timeout: number
}

export interface IrHMACAuth {
  /** nanoseconds */
  clockSkew: number
  forward?: boolean
  label?: string
  /** nanoseconds */
  maxAge: number
  remembered?: number
  required: string[] | null
  structured?: IrStructuredField[]
  tag?: string
}

export interface IrHeader {
  name: string
  value: string
}

export interface IrHeaderMods {
  add?: IrHeader[]
  remove?: string[]
  set?: IrHeader[]
}

export interface IrHeaderSet {
  all?: boolean
  names?: string[]
}

export interface IrHedge {
  /** nanoseconds */
  delay: number
  maxExtra: number
}

export interface IrIntrospectionAuth {
  audiences?: string[]
  backend: string
  clientID: string
  clientSecret?: string
  /** nanoseconds */
  clockSkew?: number
  cluster?: string
  consumer?: string[]
  consumerRequired?: boolean
  forward?: boolean
  from: IrCredentialSource[] | null
  hint?: string
  issuer?: string
  /** nanoseconds */
  negativeTTL?: number
  path: string
  post?: boolean
  problem?: string
  required?: IrJWTRequired[]
  /** nanoseconds */
  timeout: number
  /** nanoseconds */
  ttl?: number
}

export interface IrJSONLimits {
  bytes?: number
  depth: number
  elements?: number
  members?: number
  nameBytes?: number
  numberBytes?: number
  stringBytes?: number
  uniqueNames?: boolean
  values?: number
}

export interface IrJWTAuth {
  forward?: boolean
  from: IrCredentialSource[] | null
  issuers: IrJWTIssuer[] | null
}

export interface IrJWTIssuer {
  algorithms?: string[]
  audiences?: string[]
  client?: boolean
  /** nanoseconds */
  clockSkew: number
  consumer?: string[]
  consumerRequired?: boolean
  issuer: string
  keySet: string
  required?: IrJWTRequired[]
  types: string[] | null
  unlimited?: boolean
}

export interface IrJWTRequired {
  claim: string[] | null
  values?: string[]
}

export interface IrKeyPart {
  claim?: string[]
  expression?: string
  ipv4Bits?: number
  ipv6Bits?: number
  name?: string
  type: string
}

export interface IrLabelCondition {
  name: string
  values?: string[]
}

export interface IrLogField {
  name?: string
  requestHeader?: string
  responseHeader?: string
  text?: string
}

export interface IrLogSampling {
  least: number
  most: number
  rate: number
}

export interface IrMatch {
  grpc?: IrGRPCMatch
  headers?: IrValueMatch[]
  method?: string
  path: IrPathMatch
  query?: IrValueMatch[]
}

export interface IrMirror {
  cluster: string
  denominator: number
  numerator: number
}

export interface IrOIDCAuth {
  accessToken?: IrTokenHeader
  afterLogout: string
  callbackPath: string
  clientID: string
  consumer?: string[]
  consumerRequired?: boolean
  cookie: string
  idToken?: IrTokenHeader
  /** nanoseconds */
  idleTimeout?: number
  issuer: string
  keySet: string
  login: string
  loginPath: string
  logoutPath: string
  /** nanoseconds */
  maxAge: number
  parameters?: IrParameter[]
  scopes: string[] | null
  userInfo?: boolean
}

export interface IrParameter {
  name: string
  value: string
}

export interface IrPathMatch {
  type: string
  value: string
}

export interface IrPathModifier {
  type: string
  value: string
}

export interface IrQuota {
  amount: number
  timeZone: string
  window: string
}

export interface IrRate {
  burst: number
  /** nanoseconds */
  period: number
  units: number
}

export interface IrRateLimit {
  asksCaller?: boolean
  bandwidth?: IrBandwidth
  callers?: IrCallers
  concurrency?: number
  cost?: number
  costExpression?: string
  costHeader?: string
  dryRun?: boolean
  global?: IrGlobalLimit
  headers: string
  kept?: IrGlobalLimit
  key?: IrKeyPart[]
  matches?: IrMatch[]
  maxKeys: number
  name: string
  onMissingKey: string
  policy: string
  quota?: IrQuota
  rate?: IrRate
  ref: IrRef
  state: string
  when?: string
}

export interface IrRateLimitServer {
  cluster: string
  store: string
}

export interface IrRedirect {
  hostname?: string
  path?: IrPathModifier
  port?: number
  scheme?: string
  status: number
}

export interface IrRef {
  column?: number
  file?: string
  kind: string
  line?: number
  name: string
  namespace: string
}

export interface IrReflection {
  host?: string
  /** nanoseconds */
  refresh: number
}

export interface IrRetry {
  attempts: number
  /** nanoseconds */
  backoffBase?: number
  /** nanoseconds */
  backoffMax?: number
  /** nanoseconds */
  backoffMin?: number
  connectFailure?: boolean
  grpcCodes?: number
  maxReplayBytes?: number
  methods?: string[]
  reset?: boolean
  retryAfter?: boolean
  /** nanoseconds */
  retryAfterMax?: number
  statuses?: number[]
  timeout?: boolean
}

export interface IrRevocation {
  leafOnly?: boolean
  list: string
  passMissing?: boolean
  passStale?: boolean
}

export interface IrRewrite {
  hostname?: string
  path?: IrPathModifier
}

export interface IrRoutePolicy {
  admission?: IrAdmission
  authentication?: IrAuthentication
  authorization?: IrAuthorization[]
  bridge?: IrBridge
  buffer?: IrBuffer
  compression?: IrCompression
  direct?: IrDirectResponse
  fault?: IrFault
  hedge?: IrHedge
  maxBodyBytes?: number
  rateLimitServers?: IrRateLimitServer[]
  rateLimits?: IrRateLimit[]
  retry?: IrRetry
  session?: IrSessionPersistence
  shield?: IrShield
  telemetry?: IrTelemetry
  timeouts?: IrTimeouts
  transcoding?: IrTranscoding
}

export interface IrSecurityHeaders {
  policy: string
  remove?: string[]
  replace?: boolean
  set?: IrHeader[]
  strictTransportSecurity?: string
}

export interface IrSessionPersistence {
  /** nanoseconds */
  absoluteTimeout?: number
  header?: boolean
  /** nanoseconds */
  idleTimeout?: number
  key?: string
  name: string
  path?: string
  permanent?: boolean
}

export interface IrShield {
  allowAddresses?: string
  allowUserAgents?: string
  body?: IrBodyShield
  broken?: string
  csrf?: IrCSRF
  denyAddresses?: string[]
  denyUserAgents?: string[]
  headers?: IrSecurityHeaders
  noUserAgent?: string
}

export interface IrSpanTag {
  expression?: string
  name: string
  requestHeader?: string
  value?: string
}

export interface IrStructuredField {
  name: string
  type: string
}

export interface IrTelemetry {
  accessLog?: IrAccessLogPolicy
  key: number
  tracing?: IrTracing
}

export interface IrTimeWindow {
  days?: number
  from?: number
  notAfter?: string
  notBefore?: string
  timeZone?: string
  until?: number
}

export interface IrTimeouts {
  /** nanoseconds */
  idle?: number
  /** nanoseconds */
  maxStream?: number
  /** nanoseconds */
  perTry?: number
  /** nanoseconds */
  request?: number
}

export interface IrTokenHeader {
  name: string
  prefix?: string
}

export interface IrTraceRule {
  matches?: IrMatch[]
  name: string
  rate: number
  when?: string
}

export interface IrTracing {
  accept?: string[]
  ignoreParent?: boolean
  keepErrors?: boolean
  /** nanoseconds */
  keepSlowerThan?: number
  maxPerSecond?: number
  rate: number
  rules?: IrTraceRule[]
  send?: string[]
  sinks?: string[]
  tags?: IrSpanTag[]
}

export interface IrTranscoding {
  annotatedOnly?: boolean
  defaults?: boolean
  enumNumbers?: boolean
  ignoreUnknown?: boolean
  lines?: boolean
  maxMessageBytes: number
  passUnmatched?: boolean
  protoNames?: boolean
  reflection?: IrReflection
  schema?: string
  services?: string[]
}

export interface IrValueCondition {
  name: string
  type: string
  values?: string[]
}

export interface IrValueMatch {
  name: string
  type: string
  value: string
}

export interface JointokenGrants {
  namespaces?: string[]
  nodes?: string[]
  role: string
  services?: string[]
}

export interface MembershipCertificate {
  ends: string
  id: string
  issued: string
  peer?: string
  serial: string
  via: string
}

export interface MembershipCreatedToken {
  created: string
  expires: string
  grants: JointokenGrants
  id: string
  lastUsed?: string
  maxUses: number
  token: string
  uses: number
}

export interface MembershipDenial {
  created?: string
  expires?: string
  id?: string
  reason?: string
  serial?: string
}

export interface MembershipNewToken {
  expires?: string
  namespaces?: string[]
  nodes?: string[]
  reusable?: boolean
  role?: string
  services?: string[]
  uses?: number
}

export interface MembershipToken {
  created: string
  expires: string
  grants: JointokenGrants
  id: string
  lastUsed?: string
  maxUses: number
  uses: number
}

export interface MetricClusterStats {
  classes: number[] | null
  cluster: string
  errors: number
  open: number
  /** nanoseconds */
  p50: number
  /** nanoseconds */
  p95: number
  /** nanoseconds */
  p99: number
  requestBytes: number
  requests: number
  responseBytes: number
  total: number
  /** nanoseconds */
  window: number
}

export interface MetricRouteStats {
  classes: number[] | null
  errors: number
  open: number
  /** nanoseconds */
  p50: number
  /** nanoseconds */
  p95: number
  /** nanoseconds */
  p99: number
  requestBytes: number
  requests: number
  responseBytes: number
  route: string
  rule: string
  total: number
  /** nanoseconds */
  window: number
}

export interface MetricSnapshot {
  at: string
  clusters: MetricClusterStats[] | null
  routes: MetricRouteStats[] | null
}

export interface ObjectsApplied {
  changes: ObjectsChange[] | null
  dryRun?: boolean
  revision: number
  warnings: ObjectsDiagnostic[] | null
}

export interface ObjectsChange {
  kind: string
  name: string
  namespace?: string
  op: string
}

export interface ObjectsDiagnostic {
  code: string
  column?: number
  field?: string
  file?: string
  hint?: string
  line?: number
  message: string
  object?: string
}

export interface ObjectsObjectChange {
  after?: string
  before?: string
  kind: string
  name: string
  namespace?: string
  op: string
  place?: string
}

export interface ObjectsRevision {
  at: string
  by: string
  changes: ObjectsObjectChange[] | null
  message?: string
  number: number
  omitted?: number
  source: string
}

export interface ReplayExample {
  direction?: string
  from?: string
  host: string
  method?: string
  path?: string
  protocol?: string
  proxy?: string
  requestId?: string
  status?: number
}

export interface ReplayGroup {
  aspects: DeltaAspect[] | null
  count: number
  examples: ReplayExample[] | null
}

export interface ReplayPassed {
  assumed?: Record<string, number>
  differences: ReplayGroup[] | null
  different: number
  from?: string
  notDecided?: Record<string, number>
  requests: number
  same: number
  to?: string
  undecided: number
  unreached?: TraceUnreached[]
}

export interface SignalsEdge {
  classes: number[] | null
  count: number
  destination: string
  errors: number
  id: string
  lastSeen: string
  mutualTLS: number
  open: number
  /** nanoseconds */
  p50: number
  /** nanoseconds */
  p95: number
  /** nanoseconds */
  p99: number
  protocol: string
  reportedBy: string[] | null
  requestBytes: number
  requestDatagrams?: number
  requests: number
  responseBytes: number
  responseDatagrams?: number
  routes?: SignalsRouteTraffic[]
  source: string
}

export interface SignalsGraph {
  edges: SignalsEdge[] | null
  from: string
  nodes: SignalsNode[] | null
  resolutionSeconds: number
  state: SignalsState
  to: string
  unreached?: SignalsUnreached[]
}

export interface SignalsNode {
  id: string
  in: SignalsTraffic
  kind: string
  name?: string
  namespace?: string
  open: number
  out: SignalsTraffic
  proxies: number
  trustDomain?: string
}

export interface SignalsPoint {
  at: string
  classes: number[] | null
  count: number
  errors: number
  /** nanoseconds */
  p50: number
  /** nanoseconds */
  p95: number
  /** nanoseconds */
  p99: number
  requestBytes: number
  requestDatagrams?: number
  requests: number
  responseBytes: number
  responseDatagrams?: number
}

export interface SignalsRouteTraffic {
  errors: number
  requests: number
  route: string
}

export interface SignalsSeries {
  from: string
  of: string
  points: SignalsPoint[] | null
  stepSeconds: number
  to: string
  total: SignalsTraffic
  unreached?: SignalsUnreached[]
}

export interface SignalsState {
  edges: number
  folded: number
  historySeconds: number
  memoryBytes: number
  memoryLimitBytes: number
  proxies: number
  since: string
}

export interface SignalsTraffic {
  classes: number[] | null
  count: number
  errors: number
  /** nanoseconds */
  p50: number
  /** nanoseconds */
  p95: number
  /** nanoseconds */
  p99: number
  requestBytes: number
  requestDatagrams?: number
  requests: number
  responseBytes: number
  responseDatagrams?: number
}

export interface SignalsUnreached {
  control: string
  since: string
  why: string
}

export interface SigninAnswer {
  code?: string
  error?: string
  iss?: string
  state: string
}

export interface TapAsked {
  namespace: string
  port: number
  service: string
}

export interface TapEvent {
  attempts?: number
  audited?: string
  authMethod?: string
  consumer?: string
  destination: TapPeer
  direction?: string
  durationMs: number
  failed?: boolean
  flags?: string[]
  grpc?: TapGRPC
  host?: string
  limited?: number
  listener?: string
  lost?: number
  method?: string
  path?: string
  policy?: string
  policyRule?: string
  protocol?: string
  proxy?: string
  query?: string
  reason?: string
  record?: TapRecord
  requestBytes: number
  requestHeaders?: IrHeader[]
  requestId?: string
  responseBytes: number
  responseHeaders?: IrHeader[]
  revision?: number
  route?: string
  rule?: string
  scheme?: string
  source: TapPeer
  status?: number
  subject?: string
  time: string
  tls?: string
  traceId?: string
  type: string
  upstreamMs?: number
  webSocket?: boolean
  why?: string
  wouldDeny?: string
}

export interface TapGRPC {
  method?: string
  service?: string
  status?: string
}

export interface TapPeer {
  address?: string
  identity?: string
  mtls?: boolean
  namespace?: string
  port?: number
  service?: string
}

export interface TapRecord {
  asked?: TapAsked
  claims?: Record<string, unknown>
  cluster?: string
  headers?: IrHeader[]
  hidden?: string[]
  host: string
  partial?: boolean
  path: string
  query?: string
  registered?: boolean
  sent?: TapSentRequest
  workload?: string
}

export interface TapSentRequest {
  host: string
  path: string
  query?: string
}

export interface TraceDecision {
  kind?: string
  place?: TracePlace
  policy: string
  rule?: string
  verdict: string
}

export interface TracePlace {
  column?: number
  file: string
  line?: number
}

export interface TraceQuestion {
  cluster?: string
  /** nanoseconds */
  end: number
  endpoint?: string
  grpcStatus?: string
  number: number
  problem?: string
  purpose: string
  spanID?: string
  /** nanoseconds */
  start: number
  status?: number
}

export interface TraceSummary {
  denied?: boolean
  /** nanoseconds */
  duration: number
  failed?: boolean
  grpcStatus?: string
  host?: string
  method?: string
  path?: string
  protocol?: string
  proxy?: string
  reason?: string
  records: number
  requestID?: string
  route?: string
  sampled?: boolean
  services?: string[]
  slow?: boolean
  start: string
  status?: number
  traceID: string
  tries: number
}

export interface TraceTry {
  /** nanoseconds */
  connected?: number
  /** nanoseconds */
  end: number
  endpoint?: string
  grpcStatus?: string
  /** nanoseconds */
  head?: number
  kind: string
  number: number
  reason?: string
  spanID?: string
  /** nanoseconds */
  start: number
  status?: number
}

export interface TraceUnreached {
  proxy: string
  why: string
}
