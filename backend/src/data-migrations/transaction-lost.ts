/**
 * The database has rolled back the whole transaction, not only the statement or the savepoint that failed. What goes on as if
 * it were open would be kept by itself: there is nothing to try again in smaller parts.
 */
export class TransactionLost extends Error {
  override readonly name = 'TransactionLost';
}
