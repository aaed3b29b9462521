/*
 * What a process says to PostgreSQL servers, and what they answer, read from its sockets as it goes by: so it holds for
 * every copy of `pg` and every other driver that is JavaScript. Nothing is changed here. Messages:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** The body of what is read is kept; of rows and the like only the length counts. */
class Frames {
  #head = Buffer.alloc(0);
  #left = 0;
  #type = '';
  #parts;
  #wanted;
  #tell;

  constructor(wanted, tell) {
    this.#wanted = wanted;
    this.#tell = tell;
  }

  push(chunk) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const part = chunk.subarray(at, at + this.#left);
        this.#parts?.push(Buffer.from(part));
        at += part.length;
        this.#left -= part.length;
      } else {
        const part = chunk.subarray(at, at + 5 - this.#head.length);
        this.#head = this.#head.length === 0 ? part : Buffer.concat([this.#head, part]);
        at += part.length;
        if (this.#head.length < 5) {
          this.#head = Buffer.from(this.#head);
          return;
        }
        this.#type = String.fromCharCode(this.#head[0]);
        this.#left = Math.max(0, this.#head.readInt32BE(1) - 4);
        this.#parts = this.#wanted.includes(this.#type) ? [] : undefined;
        this.#head = Buffer.alloc(0);
      }
      if (this.#left === 0 && this.#parts !== undefined) {
        const body = Buffer.concat(this.#parts);
        this.#parts = undefined;
        this.#tell(this.#type, body);
      }
    }
  }
}

/** The parameters of a message by which a client begins; undefined for anything else. */
export function readStartup(chunk) {
  if (!(chunk instanceof Uint8Array) || chunk.length < 9) return undefined;
  const message = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (message.readInt32BE(0) !== message.length || message.readUInt16BE(4) !== 3) return undefined;
  const words = message.toString('utf8', 8).split('\0');
  const pairs = [];
  for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2) pairs.push([words[at], words[at + 1]]);
  return pairs.some(([key]) => key === 'user') ? new Map(pairs) : undefined;
}

/** @param {Uint8Array} chunk the message as it was, for its version of the protocol */
export function writeStartup(chunk, parameters) {
  const body = Buffer.from(`${[...parameters].flat().join('\0')}\0\0`);
  const message = Buffer.concat([chunk.subarray(0, 8), body]);
  message.writeInt32BE(message.length, 0);
  return message;
}

function textsOf(body, count) {
  const texts = [];
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    const end = body.indexOf(0, at);
    texts.push(body.toString('utf8', at, end));
    at = end + 1;
  }
  return { texts, rest: body.subarray(at) };
}

function errorOf(body) {
  const fields = {};
  let at = 0;
  while (body[at]) {
    const end = body.indexOf(0, at + 1);
    fields[String.fromCharCode(body[at])] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return { code: fields.C, message: fields.M, isFatal: /FATAL|PANIC/.test(fields.V ?? fields.S ?? '') };
}

/** One conversation. What it comes to is told to `watcher`: connected, refused, settled. */
export class Wire {
  /** Whom it speaks to, in words. */
  server;
  isReady = false;
  /** Counts its transactions. */
  transaction = 0;
  #watcher;
  #status = 'I';
  #queue = [];
  #statements = new Map();
  #out = new Frames('QPBSF', (type, body) => this.#said(type, body));
  #in = new Frames('EZ', (type, body) => this.#heard(type, body));

  constructor(server, watcher) {
    this.server = server;
    this.#watcher = watcher;
  }

  /** So many of its queries have no answer yet. */
  get underWay() {
    return this.isReady ? this.#queue.filter(({ isWhole }) => isWhole).length : 0;
  }

  sent(chunk) {
    this.#out.push(chunk);
  }

  received(chunk) {
    this.#in.push(chunk);
  }

  /** What comes up to the next one that is whole belongs together: the server answers it with one ReadyForQuery. */
  get #open() {
    const last = this.#queue.at(-1);
    if (last !== undefined && !last.isWhole) return last;
    const one = { text: '', key: '', isWhole: false, error: undefined };
    this.#queue.push(one);
    return one;
  }

  #said(type, body) {
    if (type === 'S') {
      this.#open.isWhole = true;
      return;
    }
    const open = this.#open;
    if (type === 'Q' || type === 'F') {
      open.text = type === 'Q' ? textsOf(body, 1).texts[0] : '';
      open.key += open.text;
      open.isWhole = true;
      return;
    }
    const { texts, rest } = textsOf(body, 2);
    if (type === 'P') {
      this.#statements.set(texts[0], texts[1]);
      return;
    }
    const text = this.#statements.get(texts[1]) ?? '';
    open.text += open.text === '' ? text : `; ${text}`;
    open.key += `${text}\0${rest.toString('latin1')}`;
  }

  #heard(type, body) {
    if (type === 'E') {
      const error = errorOf(body);
      if (!this.isReady) this.#watcher.refused(this, error);
      else if (this.#queue[0] !== undefined) this.#queue[0].error ??= error;
      if (error.isFatal) while (this.#queue.length > 0) this.#settle(error);
      return;
    }
    const status = String.fromCharCode(body[0]);
    if (!this.isReady) {
      this.isReady = true;
      this.#watcher.connected(this);
    } else if (this.#queue.length > 0) this.#settle();
    this.#status = status;
    if (status === 'I') this.transaction += 1;
  }

  #settle(fatal) {
    const { text, key, error = fatal } = this.#queue.shift();
    // The server answers it with "ROLLBACK", and no driver tells.
    const isLost = error === undefined && this.#status === 'E' && /^\s*(?:COMMIT|END)\b/i.test(text);
    const lost = { code: '25P02', message: 'a COMMIT after a failed query, which takes everything back' };
    this.#watcher.settled(this, { text, key, error: isLost ? lost : error });
  }
}
