import type { Status } from './api.ts';

export const PAGE_SIZE = 25;

/** Which machines are looked at. */
export interface Filter {
  readonly search: string;
  readonly status: Status | '';
  readonly department: number | 'none' | undefined;
  readonly offset: number;
}

export const NO_FILTER: Filter = { search: '', status: '', department: undefined, offset: 0 };

export function isNarrowed(filter: Filter): boolean {
  return filter.search !== '' || filter.status !== '' || filter.department !== undefined;
}

/** The address that answers with these machines. */
export function toPath({ search, status, department, offset }: Filter): string {
  const query = new URLSearchParams({ limit: String(PAGE_SIZE), offset: String(offset) });
  if (search !== '') query.set('search', search);
  if (status !== '') query.set('status', status);
  if (department !== undefined) query.set('departmentId', String(department));
  return `/api/machines?${query.toString()}`;
}
