import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Secrets } from '../lib/secrets.ts';
import { readApplianceEnvironment } from './environment.ts';
import type { Loaded } from './load.ts';

/** Variables of the operator's shell that a build which prints its environment would give away. */
const secretName = /TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|(^|_)AUTH$/i;

/**
 * What is secret on this machine, learnt before the first word is said: values of env files, tokens of npm (its
 * .npmrc in the checkout, in each build's folder and at home), variables of our own environment that are called so,
 * webhooks. Reads only; what cannot be read here is complained about by whoever needs it.
 */
export function learnSecrets({ config, directory }: Loaded, secrets: Secrets): void {
  try {
    readApplianceEnvironment(config, directory, secrets);
  } catch {
    // An env file that is missing.
  }
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && secretName.test(name) && !value.startsWith('/')) secrets.add(value);
  const folders = [
    homedir(),
    directory,
    ...Object.values(config.builds).map(({ dir }) => join(directory, dir)),
  ];
  for (const folder of new Set(folders)) {
    let text = '';
    try {
      text = readFileSync(join(folder, '.npmrc'), 'utf8');
    } catch {
      continue;
    }
    for (const value of npmTokens(text)) secrets.add(value);
  }
  // The path of a webhook is its password.
  for (const { url } of config.notify) if (url !== undefined && !url.includes('{env.')) secrets.add(url);
}

/** Values of the settings in an .npmrc that let somebody in (npmrc(5)). */
export function npmTokens(text: string): string[] {
  return [...text.matchAll(/^[^#;\n]*?(?:_authToken|_auth|_password)\s*=\s*(.+)$/gm)].map(([, value = '']) =>
    value.trim().replaceAll(/^["']|["']$/g, ''),
  );
}
