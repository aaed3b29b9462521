/** An answer other than success, in the words of the API: `{error: {code, message, details?}}`. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly statusCode: number;
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(statusCode: number, code: string, message: string, details?: Record<string, unknown>) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
    this.details = details;
  }
}

/** 400: the request names `field`, and what is wrong with it. */
export function invalid(field: string, message: string): ApiError {
  return new ApiError(400, 'invalid_request', message, { field });
}

/** 404 for a record that is not there. */
export function notFound(kind: string, id: number): ApiError {
  return new ApiError(404, 'not_found', `There is no ${kind} with id ${id}.`);
}
