import type { Status } from './api.ts';

/** The statuses in the reader's words. */
export const STATUS_NAMES: Readonly<Record<Status, string>> = {
  active: 'In service',
  maintenance: 'Maintenance',
  retired: 'Retired',
};
