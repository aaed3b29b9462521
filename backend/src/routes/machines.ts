import type { FastifyInstance } from 'fastify';
import { ApiError, invalid, notFound } from '../api-error.ts';
import { Prisma, type PrismaClient } from '../generated/client.ts';
import { CHANGE_MACHINE, CREATE_MACHINE, parseMachineFilter, trimmed } from './machine-input.ts';
import type { MachineInput, MachineQuery } from './machine-input.ts';
import { parseId, parsePage, QUERY } from './request.ts';

type ById = { Params: { id: string } };

/** The five verbs on /api/machines. */
export function addMachineRoutes(app: FastifyInstance, prisma: PrismaClient): void {
  app.get<{ Querystring: MachineQuery }>('/machines', { schema: { querystring: QUERY } }, async (request) => {
    const { limit, offset } = parsePage(request.query);
    const where = parseMachineFilter(request.query);
    const [items, total] = await prisma.$transaction([
      prisma.machine.findMany({
        where,
        orderBy: [{ name: 'asc' }, { id: 'asc' }],
        take: limit,
        skip: offset,
      }),
      prisma.machine.count({ where }),
    ]);
    return { items, total, limit, offset };
  });

  app.get<ById>('/machines/:id', async (request) => {
    const id = parseId(request.params.id);
    const row = await prisma.machine.findUnique({ where: { id } });
    if (row === null) throw notFound('machine', id);
    return row;
  });

  app.post<{ Body: MachineInput }>(
    '/machines',
    { schema: { body: CREATE_MACHINE } },
    async (request, reply) => {
      const input = trimmed(request.body);
      const row = await explained(
        prisma.$transaction(async (tx) => {
          const department = await findDepartment(tx, input.departmentId);
          return await tx.machine.create({ data: { ...input, ...department } });
        }),
      );
      return await reply.code(201).header('location', `/api/machines/${row.id}`).send(row);
    },
  );

  app.patch<ById & { Body: Partial<MachineInput> }>(
    '/machines/:id',
    { schema: { body: CHANGE_MACHINE } },
    async (request) => {
      const id = parseId(request.params.id);
      const input = trimmed(request.body);
      return await explained(
        prisma.$transaction(async (tx) => {
          const department = await findDepartment(tx, input.departmentId);
          return await tx.machine.update({ where: { id }, data: { ...input, ...department } });
        }),
        id,
      );
    },
  );

  app.delete<ById>('/machines/:id', async (request, reply) => {
    const id = parseId(request.params.id);
    await explained(prisma.machine.delete({ where: { id } }), id);
    return await reply.code(204).send();
  });
}

/**
 * The legacy text that goes with a department, nothing when the request does not speak of one. The row is locked until
 * the transaction ends, so that a renaming at the same moment cannot leave the old name behind.
 *
 * @throws ApiError 400 for a department that does not exist.
 */
async function findDepartment(
  tx: Prisma.TransactionClient,
  id: number | null | undefined,
): Promise<{ departmentName?: string | null }> {
  if (id === undefined) return {};
  if (id === null) return { departmentName: null };
  const rows = await tx.$queryRaw<{ name: string }[]>`
    SELECT name FROM departments WHERE id = ${id} FOR SHARE`;
  const department = rows[0];
  if (department === undefined) throw invalid('departmentId', `There is no department with id ${id}.`);
  return { departmentName: department.name };
}

/** Puts the database's refusals into the API's words; anything else passes as it is. */
async function explained<T>(work: Promise<T>, id = 0): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
    if (code === 'P2002') {
      throw new ApiError(409, 'serial_taken', 'Another machine has that serial number.', { field: 'serial' });
    }
    if (code === 'P2025') throw notFound('machine', id);
    throw error;
  }
}
