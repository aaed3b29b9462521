import type { FastifyError, FastifyInstance } from 'fastify';
import { ApiError } from './api-error.ts';
import { isDatabaseUnavailable } from './database-availability.ts';

/** Gives every failure of a request the one shape of body, and keeps inner causes in the log. */
export function answerErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(body(new ApiError(404, 'not_found', `There is no ${request.method} ${request.url}.`))),
  );
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const answer = toApiError(error);
    if (answer.statusCode >= 500) request.log.error({ err: error }, 'request failed');
    if (answer.statusCode === 503) void reply.header('retry-after', '5');
    return reply.code(answer.statusCode).send(body(answer));
  });
}

function body(error: ApiError): object {
  const { code, message, details } = error;
  return { error: details === undefined ? { code, message } : { code, message, details } };
}

function toApiError(error: FastifyError | ApiError): ApiError {
  if (error instanceof ApiError) return error;
  if ('validation' in error && error.validation) return toValidationError(error);
  if (isDatabaseUnavailable(error)) {
    return new ApiError(503, 'database_unavailable', 'The database does not answer. Try again in a moment.');
  }
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status !== undefined && status >= 400 && status < 500) {
    return new ApiError(status, 'invalid_request', error.message);
  }
  return new ApiError(500, 'internal_error', 'The request failed inside the server; its log says why.');
}

/** The first thing that is wrong with the request, as a sentence that names the field. */
function toValidationError(error: FastifyError): ApiError {
  const first = error.validation?.[0];
  const params: Readonly<Record<string, unknown>> = first?.params ?? {};
  const named = params['missingProperty'] ?? params['additionalProperty'];
  const field = typeof named === 'string' ? named : (first?.instancePath ?? '').slice(1).replaceAll('/', '.');
  const what = describeViolation(first?.keyword, params) ?? first?.message ?? 'is not valid';
  if (field === '') return new ApiError(400, 'invalid_request', `The request ${what}.`);
  return new ApiError(400, 'invalid_request', `"${field}" ${what}.`, { field });
}

function describeViolation(
  keyword: string | undefined,
  params: Readonly<Record<string, unknown>>,
): string | undefined {
  switch (keyword) {
    case 'required':
      return 'is required';
    case 'additionalProperties':
      return 'is not a known property';
    case 'pattern':
      return 'must not be blank or contain NUL';
    case 'minProperties':
      return 'changes nothing: name at least one property';
    case 'enum':
      return `must be one of ${String(params['allowedValues']).replaceAll(',', ', ')}`;
    case undefined:
    default:
      return undefined;
  }
}
