/**
 * The volume that the database's data lie on, and copies of it under names of their own: whole volumes that share what is
 * equal, so that one costs nothing, and none needs another.
 */
export interface Volumes {
  /** Whether a copy takes no time and no room here. */
  areCheap(): Promise<boolean>;

  /** What the storage has left, in bytes; undefined where it does not say. */
  freeBytes(): Promise<number | undefined>;

  /** The name of the one in use. */
  live(): string;

  /** Whether it is the one that its users see: a kill between the two halves of `use` leaves another there, or two. */
  isInPlace(): Promise<boolean>;

  /** All of this appliance's: the live one, copies, what was set aside. */
  list(): Promise<string[]>;

  /** @param suffix told apart by it; a copy of that name that is there already is replaced. Resolves to its name */
  copy(from: string, suffix: string): Promise<string>;

  /** May be run twice. */
  remove(name: string): Promise<void>;

  /**
   * Puts another one into the live one's place. The server on it has to be stopped. What was live is set aside. May be
   * run twice, and after a kill at any instant.
   *
   * @param mark of whom sets it aside
   */
  use(name: string, mark: string): Promise<void>;

  /** What `use` set aside and nobody removed yet, with the mark of who did. */
  setAside(): readonly { readonly volume: string; readonly mark: string }[];

  /** Has a copy of it at this path inside, to be written to at will, as long as the work goes on. */
  withCopyAt<T>(name: string, path: string, work: () => Promise<T>): Promise<T>;
}
