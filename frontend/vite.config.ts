import { defineConfig } from 'vite';

const backend = process.env['BACKEND_URL'] ?? 'http://127.0.0.1:4000';

/** JSX is Vite's own business (tsconfig says which kind): without the React plugin there is less to install. */
export default defineConfig({
  server: { port: 3000, proxy: { '/api': backend, '/health': backend, '/version': backend } },
  build: { target: 'es2023', reportCompressedSize: false },
});
