// Drawn on a grid of 16, with lines of 1.5.
const paths = {
  overview: 'M2.5 11.5a5.5 5.5 0 1 1 11 0M8 11.5 10.6 7',
  graph: 'M4.5 4.5 11 7M4.8 11.2 11 8.6M3 2.5a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2ZM3 10.3a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2ZM12.8 6.2a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2Z',
  routes: 'M1.5 8h4c3 0 3-4.5 6-4.5h3M5.5 8c3 0 3 4.5 6 4.5h3M12.5 1.5l2 2-2 2M12.5 10.5l2 2-2 2',
  services: 'M2.5 3h11v3.8h-11zM2.5 9.2h11V13h-11zM5 4.9h.01M5 11.1h.01',
  traces: 'M2 3.5h7M5 8h6M8.5 12.5H14',
  configuration: 'M4 1.8h5.2L12.5 5v9.2H4zM9 1.8V5.2h3.5M6.2 8.2h4M6.2 11h4',
  mesh: 'M8 1.8 13 3.6v4c0 3.2-2.2 5.6-5 6.6-2.8-1-5-3.4-5-6.6v-4zM5.8 8l1.6 1.6 2.9-3.2',
  explain: 'M8 14.2a6.2 6.2 0 1 0 0-12.4 6.2 6.2 0 0 0 0 12.4ZM6.2 6.3c.1-1.1.9-1.7 1.9-1.7 1.1 0 1.9.700 1.9 1.7 0 1.3-1.9 1.4-1.9 2.7M8.1 11.4h.01',
  good: 'M3.2 8.4 6.4 11.6 12.8 4.8',
  warn: 'M8 2.2 14.4 13.4H1.6zM8 6.4v3.2M8 11.5h.01',
  bad: 'M8 14.2a6.2 6.2 0 1 0 0-12.4 6.2 6.2 0 0 0 0 12.4ZM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  info: 'M8 14.2a6.2 6.2 0 1 0 0-12.4 6.2 6.2 0 0 0 0 12.4ZM8 7.4v3.6M8 5h.01',
  muted: 'M4.5 8h7',
  search: 'M7 11.8a4.8 4.8 0 1 0 0-9.6 4.8 4.8 0 0 0 0 9.6ZM10.6 10.6 14 14',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  menu: 'M2 4h12M2 8h12M2 12h12',
  right: 'M6 3.5 10.5 8 6 12.5',
  lock: 'M3.5 7.2h9v6.3h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2',
  auto: 'M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12ZM8 2v12M8 4.5l4-.1M8 8h6M8 11.5l4 .1',
  light: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M13 3l-1.1 1.1M4.1 11.9 3 13',
  dark: 'M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z',
  out: 'M6 2.5H2.5v11H6M6.5 8h7M10.8 5.3 13.5 8l-2.7 2.7',
  play: 'M4.5 2.8 12.8 8l-8.3 5.2z',
  pause: 'M5 3v10M11 3v10',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}
