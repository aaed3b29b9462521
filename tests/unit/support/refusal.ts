import { Refusal } from '../../../orchestrator/lib/errors.ts';

/** The refusal that something ends with. @throws Error where it ends otherwise */
export async function refusalOf(work: () => unknown): Promise<Refusal> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
