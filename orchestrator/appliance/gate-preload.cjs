'use strict';
/*
 * Loaded into a service's Node before its own code, while an update has not committed: requests from outside are
 * answered 503, those of Holdfast itself (which carry the token) pass. Whether the gate is still closed is asked
 * of a file each time, so that it opens at once and needs no message that could get lost. After that, nothing of
 * this is left in the way.
 */
const { existsSync } = require('node:fs');
const net = require('node:net');

const file = process.env.HOLDFAST_GATE_FILE;
const token = process.env.HOLDFAST_GATE_TOKEN;

if (file && existsSync(file)) {
  const emit = net.Server.prototype.emit;
  const gated = new Set(['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect', 'stream']);
  const body = JSON.stringify({
    error: { code: 'UPDATING', message: 'This service is being updated. Try again in a moment.' },
  });
  const head = { 'content-type': 'application/json', 'retry-after': '2', 'holdfast-gate': 'closed' };

  const refuse = (event, first, second) => {
    if (event === 'stream') {
      first.respond({ ':status': 503, ...head });
      first.end(body);
    } else if (event === 'upgrade' || event === 'connect') {
      second.end(
        'HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nholdfast-gate: closed\r\nconnection: close\r\n\r\n',
      );
    } else {
      second.writeHead(503, { ...head, connection: 'close' });
      second.end(body);
    }
  };

  net.Server.prototype.emit = function (event, ...args) {
    if (!gated.has(event)) return emit.call(this, event, ...args);
    if (!existsSync(file)) {
      net.Server.prototype.emit = emit;
      return emit.call(this, event, ...args);
    }
    const headers = event === 'stream' ? args[1] : args[0].headers;
    if (token && headers['holdfast-gate'] === token) return emit.call(this, event, ...args);
    refuse(event, args[0], args[1]);
    return true;
  };
}
