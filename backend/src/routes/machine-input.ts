import { invalid } from '../api-error.ts';
import { MachineStatus, type Prisma } from '../generated/client.ts';
import { NAME, OPTIONAL_ID, parseId, TEXT } from './request.ts';

/** What may be said of a machine. */
export interface MachineInput {
  readonly name: string;
  readonly serial: string;
  readonly location?: string;
  readonly status?: MachineStatus;
  readonly departmentId?: number | null;
}

/** How a list of machines may be narrowed. */
export interface MachineQuery {
  readonly limit?: string;
  readonly offset?: string;
  readonly search?: string;
  readonly status?: string;
  readonly departmentId?: string;
}

const STATUSES = Object.values(MachineStatus);

const PROPERTIES = {
  name: NAME,
  serial: NAME,
  location: TEXT,
  status: { type: 'string', enum: STATUSES },
  departmentId: OPTIONAL_ID,
};

export const CREATE_MACHINE = {
  type: 'object',
  required: ['name', 'serial'],
  properties: PROPERTIES,
  additionalProperties: false,
};

export const CHANGE_MACHINE = {
  type: 'object',
  minProperties: 1,
  properties: PROPERTIES,
  additionalProperties: false,
};

/** The same input without blanks around its texts. */
export function trimmed<T extends Partial<MachineInput>>(input: T): T {
  return {
    ...input,
    ...(input.name === undefined ? {} : { name: input.name.trim() }),
    ...(input.serial === undefined ? {} : { serial: input.serial.trim() }),
    ...(input.location === undefined ? {} : { location: input.location.trim() }),
  };
}

/**
 * Turns the query of a list into a condition. `departmentId=none` asks for machines that belong nowhere.
 *
 * @throws ApiError 400 that names the parameter.
 */
export function parseMachineFilter(query: MachineQuery): Prisma.MachineWhereInput {
  return { ...filterBySearch(query.search), ...filterByStatus(query.status), ...filterByDepartment(query) };
}

function filterBySearch(search: string | undefined): Prisma.MachineWhereInput {
  if (search === undefined || search.trim() === '') return {};
  if (search.includes('\u0000')) throw invalid('search', '"search" must not contain NUL.');
  // LIKE's own wildcards are meant literally; Prisma passes them through.
  const contains = search.trim().replaceAll(/[\\%_]/g, String.raw`\$&`);
  const condition = { contains, mode: 'insensitive' } as const;
  return { OR: [{ name: condition }, { serial: condition }, { location: condition }] };
}

function filterByStatus(text: string | undefined): Prisma.MachineWhereInput {
  if (text === undefined || text === '') return {};
  const status = STATUSES.find((candidate) => candidate === text);
  if (status === undefined) throw invalid('status', `"status" must be one of ${STATUSES.join(', ')}.`);
  return { status };
}

function filterByDepartment({ departmentId }: MachineQuery): Prisma.MachineWhereInput {
  if (departmentId === undefined || departmentId === '') return {};
  return { departmentId: departmentId === 'none' ? null : parseId(departmentId, 'departmentId') };
}
