import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { learnSecrets, npmTokens } from '../../../orchestrator/config/known-secrets.ts';
import { Secrets } from '../../../orchestrator/lib/secrets.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('the values of an .npmrc that let somebody in, and no others', () => {
  const text = `registry=https://registry.example.org/
//registry.example.org/:_authToken=npm_abcdef
# //old.example.org/:_authToken=npm_old
_auth = "dXNlcjpwYXNz"
//other.example.org/:_password=c2VjcmV0
always-auth=true
`;
  expect(npmTokens(text)).toEqual(['npm_abcdef', 'dXNlcjpwYXNz', 'c2VjcmV0']);
});

test('an env file that is missing keeps nothing else from being known', () => {
  const appliance = applianceIn(temporaryFolder(), {
    env: { files: ['.env.missing'] },
    notify: [{ url: 'https://hooks.example.org/t0ken' }],
  });
  writeFileSync(join(appliance.directory, '.npmrc'), '_authToken=npm_abcdef\n');
  const secrets = new Secrets();
  learnSecrets(appliance, secrets);
  expect(secrets.mask('npm_abcdef at https://hooks.example.org/t0ken')).toBe('*** at ***');
});
