import { stringify } from 'yaml';
import { readApplianceEnvironment } from '../config/environment.ts';
import type { Register } from '../main.ts';
import { jsonSchema } from '../config/json-schema.ts';

export const registerConfig: Register = (program, act) => {
  program
    .command('config')
    .description('print the configuration as it was understood, secrets masked')
    .option('--schema', 'print the JSON Schema of appliance.yaml, for editors')
    .action(
      act(async (session, options: { schema?: boolean }) => {
        if (options.schema) {
          process.stdout.write(jsonSchema());
          return 0;
        }
        const { config, file, directory, stateDirectory, backupsDirectory, secrets } = session.open();
        // Values from env files are never shown, whatever they look like.
        const variables = readApplianceEnvironment(config, directory, secrets);
        const environment = Object.fromEntries(
          Object.keys(variables).map((name) => [name, name in config.env.set ? variables[name] : '***']),
        );
        const effective = {
          ...config,
          env: { ...config.env, effective: environment },
          places: { file, directory, stateDirectory, backupsDirectory },
        };
        session.ui.result(
          { type: 'result', ok: true, exitCode: 0, config: effective },
          `# ${file}; durations in milliseconds\n${stringify(effective).trimEnd()}`,
        );
        return await Promise.resolve(0);
      }),
    );
};
