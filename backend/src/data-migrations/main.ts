import { enableCompileCache } from 'node:module';

// What Node made of the sources is kept between two calls: a status takes half the time.
enableCompileCache();
await import('./cli.ts');
