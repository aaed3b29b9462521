import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, invalid } from '../api-error.ts';
import { requireDeveloperKey } from '../developer-key.ts';
import { logEvent, logOutcome, type MigrationEngine, type Outcome } from '../migration-engine.ts';
import { collectRun, describeError, statusOf, streamRun, type Start } from '../migration-answers.ts';
import { NAME } from './request.ts';

/** What the migration routes need; they own none of it. */
export interface MigrationParts {
  readonly key: string;
  readonly engine: MigrationEngine;
  /** While true an update may be rolled back, and nothing is run. */
  readonly isUpdating: () => boolean;
}

// A misspelled dryRun would otherwise run for real what was only to be tried.
const QUERY = { type: 'object', properties: { dryRun: { type: 'string' } }, additionalProperties: false };
const PARAMS = { type: 'object', properties: { name: NAME } };

interface Run {
  Querystring: { dryRun?: string };
  Params: { name?: string };
}

/**
 * The data migrations for somebody with the developer key: GET status and list, POST run and run/:name. A run goes on
 * when the one who asked for it hangs up.
 */
export async function addMigrationRoutes(app: FastifyInstance, parts: MigrationParts): Promise<void> {
  await requireDeveloperKey(app, parts.key);
  app.get('/status', async (_request, reply) => await answer(await parts.engine.run(['--status']), reply));
  app.get('/list', async (_request, reply) => await answer(await parts.engine.run(['--list']), reply));
  for (const url of ['/run', '/run/:name'])
    app.post<Run>(url, { schema: { querystring: QUERY, params: PARAMS } }, async (request, reply) => {
      if (parts.isUpdating())
        throw new ApiError(
          503,
          'updating',
          'An update is under way and may be rolled back. Try again after it.',
        );
      return await run(request, reply, parts.engine);
    });
}

async function answer(outcome: Outcome, reply: FastifyReply): Promise<FastifyReply> {
  if (outcome.ok) return await reply.send(outcome.answer);
  return await reply
    .code(statusOf(outcome))
    .send({ ok: false, exitCode: outcome.exitCode, error: describeError(outcome) });
}

async function run(
  request: FastifyRequest<Run>,
  reply: FastifyReply,
  engine: MigrationEngine,
): Promise<FastifyReply> {
  refuseBody(request.body);
  const { name } = request.params;
  const args = [
    // One word, so that a name that begins with "--" stays a name.
    ...(name === undefined ? [] : [`--only=${name}`]),
    ...(parseFlag('dryRun', request.query.dryRun) ? ['--dry-run'] : []),
  ];
  request.log.info({ args }, 'data migrations were asked for');
  const start: Start = async (onEvent) => {
    const outcome = await engine.run(args, (event) => {
      logEvent(request.log, event);
      onEvent(event);
    });
    logOutcome(request.log, outcome);
    return outcome;
  };
  const wantsStream = request.headers.accept?.includes('application/x-ndjson') === true;
  return wantsStream ? await streamRun(start, reply) : await collectRun(start, reply);
}

/** What somebody writes there, dryRun for one, would otherwise be left out in silence, and the run be one for real. */
function refuseBody(body: unknown): void {
  if (body === undefined || body === null) return;
  const [field] = typeof body === 'object' ? Object.keys(body) : ['body'];
  if (field !== undefined)
    throw invalid(field, 'Nothing is taken from the body: write it into the address, as ?dryRun=true.');
}

function parseFlag(field: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false' || text === '0') return false;
  if (text === 'true' || text === '1') return true;
  throw invalid(field, `"${field}" must be true or false.`);
}
