import type { FastifyInstance } from 'fastify';
import { ApiError, notFound } from '../api-error.ts';
import { Prisma, type PrismaClient } from '../generated/client.ts';
import { NAME, OPTIONAL_TEXT, parseId, parsePage, QUERY } from './request.ts';

interface DepartmentInput {
  readonly name: string;
  readonly code?: string | null;
}

const PROPERTIES = { name: NAME, code: OPTIONAL_TEXT };
const CREATE = { type: 'object', required: ['name'], properties: PROPERTIES, additionalProperties: false };
const CHANGE = { type: 'object', minProperties: 1, properties: PROPERTIES, additionalProperties: false };
const WITH_COUNT = { _count: { select: { machines: true } } } as const;

type Row = Prisma.DepartmentGetPayload<{ include: typeof WITH_COUNT }>;
type PageQuery = { limit?: string; offset?: string };
type ById = { Params: { id: string } };

/** The five verbs on /api/departments. */
export function addDepartmentRoutes(app: FastifyInstance, prisma: PrismaClient): void {
  app.get<{ Querystring: PageQuery }>('/departments', { schema: { querystring: QUERY } }, async (request) => {
    const { limit, offset } = parsePage(request.query);
    const [rows, total] = await prisma.$transaction([
      prisma.department.findMany({
        include: WITH_COUNT,
        orderBy: { name: 'asc' },
        take: limit,
        skip: offset,
      }),
      prisma.department.count(),
    ]);
    return { items: rows.map(toJson), total, limit, offset };
  });

  app.get<ById>('/departments/:id', async (request) => {
    const id = parseId(request.params.id);
    const row = await prisma.department.findUnique({ where: { id }, include: WITH_COUNT });
    if (row === null) throw notFound('department', id);
    return toJson(row);
  });

  app.post<{ Body: DepartmentInput }>(
    '/departments',
    { schema: { body: CREATE } },
    async (request, reply) => {
      const data = toData(request.body);
      const row = await prisma.department
        .create({ data: { ...data, name: request.body.name.trim() }, include: WITH_COUNT })
        .catch((error: unknown) => explain(error));
      return await reply.code(201).header('location', `/api/departments/${row.id}`).send(toJson(row));
    },
  );

  app.patch<ById & { Body: Partial<DepartmentInput> }>(
    '/departments/:id',
    { schema: { body: CHANGE } },
    async (request) => {
      const id = parseId(request.params.id);
      return toJson(await changeDepartment(prisma, id, toData(request.body)));
    },
  );

  app.delete<ById>('/departments/:id', async (request, reply) => {
    const id = parseId(request.params.id);
    await prisma.department.delete({ where: { id } }).catch((error: unknown) => explain(error, id));
    return await reply.code(204).send();
  });
}

/** A new name is written to the machines' legacy text too, so that older releases go on reading the truth. */
async function changeDepartment(
  prisma: PrismaClient,
  id: number,
  data: Partial<DepartmentInput>,
): Promise<Row> {
  try {
    return await prisma.$transaction(async (tx) => {
      const row = await tx.department.update({ where: { id }, data, include: WITH_COUNT });
      if (data.name !== undefined) {
        await tx.machine.updateMany({ where: { departmentId: id }, data: { departmentName: data.name } });
      }
      return row;
    });
  } catch (error) {
    return explain(error, id);
  }
}

function toData(input: Partial<DepartmentInput>): Partial<DepartmentInput> {
  return { ...input, ...(input.name === undefined ? {} : { name: input.name.trim() }) };
}

function toJson({ _count, ...row }: Row): object {
  return { ...row, machineCount: _count.machines };
}

/** @throws always: the refusal in the API's words where the database's reason is known, else the error itself. */
function explain(error: unknown, id = 0): never {
  const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
  switch (code) {
    case 'P2002':
      throw new ApiError(409, 'name_taken', 'Another department has that name.', { field: 'name' });
    case 'P2003':
      throw new ApiError(
        409,
        'department_has_machines',
        'The department still has machines. Move them first.',
      );
    case 'P2025':
      throw notFound('department', id);
    case undefined:
    default:
      throw error;
  }
}
