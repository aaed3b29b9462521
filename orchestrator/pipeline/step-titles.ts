import type { StepName } from './journal-entries.ts';

/** A step's name for people, where only its name is at hand: in a journal, in a message. */
export const stepTitles: Readonly<Record<StepName, string>> = {
  'prepare-database': 'database',
  preflight: 'check the appliance',
  'stop-services': 'stop the services',
  'backup-database': 'back up the database',
  'backup-files': 'back up the files',
  'backup-registry': 'back up the registry',
  'pull-code': 'pull the code',
  'install-backend': 'install the packages',
  'build-backend': 'build',
  'migrate-schema': 'schema migrations',
  'revert-schema': 'take schema migrations back',
  'migrate-data': 'data migrations',
  'build-frontend': 'build after the migrations',
  'restore-snapshot': 'bring the snapshot back',
  'restart-services': 'restart the services',
  verify: 'verify',
  commit: 'commit',
  'clean-up': 'clean up',
};
