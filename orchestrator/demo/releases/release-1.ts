import { parseDocument } from 'yaml';
import { setVersion, type Release } from './edit.ts';

/** Where the sandbox's appliance listens. */
export interface Ports {
  readonly backend: number;
  readonly frontend: number;
}

/** The checkout as it is, on ports of its own, so that it gets in nobody's way. */
export function release1(ports: Ports): Release {
  return {
    tag: 'v1.0.0',
    summary: 'Departments and their machines',
    edits: [
      ...setVersion('backend', '1.0.0'),
      ...setVersion('frontend', '1.0.0'),
      {
        rewrite: 'appliance.yaml',
        how: (text) => {
          const document = parseDocument(text);
          document.setIn(['services', 'backend', 'port'], ports.backend);
          document.setIn(['services', 'frontend', 'port'], ports.frontend);
          document.setIn(['services', 'frontend', 'env', 'BACKEND_URL'], `http://127.0.0.1:${ports.backend}`);
          document.setIn(['sources'], { app: { remote: 'origin', follow: { branch: 'main' } } });
          document.setIn(['database'], { embedded: true });
          return String(document);
        },
      },
    ],
  };
}
