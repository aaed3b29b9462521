import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskUrls, Secrets, stringifyMasked } from '../../../orchestrator/lib/secrets.ts';

function knowing(...values: string[]): Secrets {
  const secrets = new Secrets();
  for (const value of values) secrets.add(value);
  return secrets;
}

describe('a secret', () => {
  test('is masked wherever it stands, as often as it stands there', () => {
    expect(knowing('hunter22').mask('hunter22 and "hunter22", xhunter22x')).toBe('*** and "***", x***x');
  });

  test('is masked percent-encoded, as it stands in a URL', () => {
    expect(knowing('p@ss/w rd').mask('postgres://u:p%40ss%2Fw%20rd@db/x')).toBe('postgres://u:***@db/x');
  });

  test('is masked escaped, as it stands in JSON', () => {
    expect(knowing('say "hi"\\').mask(JSON.stringify({ a: 'say "hi"\\' }))).toBe('{"a":"***"}');
  });

  test('is masked in base64, by itself, in either alphabet', () => {
    const value = 'hunter22??>>';
    const forms = [Buffer.from(value).toString('base64'), Buffer.from(value).toString('base64url')];
    expect(forms[0]).not.toBe(forms[1]);
    for (const form of forms) expect(knowing(value).mask(`x ${form} y`)).toMatch(/^x \*\*\*=* y$/);
  });

  test('that holds another is masked whole', () => {
    expect(knowing('secret', 'secret-longer').mask('secret-longer')).toBe('***');
  });

  test('of several lines is masked line by line, as programs print it', () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBg\r\nkqhkiG9w0BAQEF\n-----END KEY-----';
    expect(knowing(key).mask('parsing: MIIEvQIBADANBg')).toBe('parsing: ***');
    expect(knowing(key).mask('and kqhkiG9w0BAQEF.')).toBe('and ***.');
  });

  test('of fewer than six characters is left alone: it would blot out half of every text', () => {
    expect(knowing('yes', '', '12345').mask('yes, 12345 times')).toBe('yes, 12345 times');
  });

  test('never gets through, whatever the secrets and the text around them', () => {
    // No asterisk in them: the mask itself is made of those.
    const word = fc
      .string({ minLength: 6, maxLength: 20, unit: 'binary' })
      .filter((text) => !text.includes('*'));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), fc.string(), (values, text) => {
        const masked = knowing(...values).mask(`${text}${values.join(text)}${text}`);
        expect(values.filter((value) => masked.includes(value))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a URL', () => {
  test.each([
    ['postgresql://app:topsecret@db:5432/shop', 'postgresql://app:***@db:5432/shop'],
    ['redis://:topsecret@cache', 'redis://:***@cache'],
    ['amqp://a:b@c@host/x and https://u:p@h', 'amqp://a:***@host/x and https://u:***@h'],
    ['http://127.0.0.1:4000/health', 'http://127.0.0.1:4000/health'],
    ['git@example.org:shop.git', 'git@example.org:shop.git'],
  ])('%s reads %s', (url, masked) => {
    expect(maskUrls(url)).toBe(masked);
  });
});

describe('JSON for programs', () => {
  const clean = (text: string) => maskUrls(knowing('output', '120000', 'hunter22').mask(text));

  test('is masked text by text and stays JSON, whatever stands beside a URL', () => {
    const event = { type: 'note', message: 'http://127.0.0.1:4000/health', mail: 'a@b', list: ['hunter22'] };
    expect(JSON.parse(stringifyMasked(event, clean))).toEqual({ ...event, list: ['***'] });
  });

  test('keeps its numbers and the words that programs read, though a secret be the same', () => {
    expect(JSON.parse(stringifyMasked({ type: 'output', ms: 120000, line: 'output' }, clean))).toEqual({
      type: 'output',
      ms: 120000,
      line: '***',
    });
  });
});
