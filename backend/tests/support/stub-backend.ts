import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';

interface Asked {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
}

/** Stands in for a running backend, and notes what it is asked. */
export class StubBackend {
  readonly asked: Asked[] = [];
  readonly #servers: Server[] = [];

  /** The address of one that answers everything but its health so. */
  async serve(answer: RequestListener, health: () => number = () => 200): Promise<string> {
    const server = createServer((request, response) => {
      if (request.url === '/health') return void response.writeHead(health()).end('{}');
      this.asked.push({ line: `${request.method} ${request.url}`, headers: request.headers });
      return answer(request, response);
    });
    this.#servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  }

  close(): void {
    for (const server of this.#servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  }
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body));
export const lines =
  (status: number, ...all: unknown[]): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/x-ndjson' })
      .end(all.map((one) => (one === '' ? '\n' : `${JSON.stringify(one)}\n`)).join(''));
