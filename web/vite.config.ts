import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// For work on the pages: GRIDWAY_ADMIN=http://127.0.0.1:9901 npm run dev.
const admin = process.env.GRIDWAY_ADMIN ?? 'http://127.0.0.1:9901'

export default defineConfig({
  base: '/console/',
  plugins: [react()],
  build: {
    outDir: '../internal/surface/console/dist',
    emptyOutDir: true,
    target: ['chrome123', 'firefox128', 'safari17.5'],
    // The policy of the pages forbids data: scripts, and small files are few.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': { target: admin, changeOrigin: true, headers: { origin: admin } } } },
})
