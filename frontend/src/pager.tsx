interface PagerProps {
  readonly offset: number;
  readonly size: number;
  readonly total: number;
  readonly onMove: (offset: number) => void;
}

/** Moves through a list that is longer than a page. */
export function Pager({ offset, size, total, onMove }: PagerProps) {
  return (
    <nav className="pager" aria-label="Pages of machines">
      <button type="button" disabled={offset === 0} onClick={() => onMove(Math.max(0, offset - size))}>
        Previous
      </button>
      <span>
        {Math.min(offset + 1, total)} to {Math.min(offset + size, total)} of {total}
      </span>
      <button type="button" disabled={offset + size >= total} onClick={() => onMove(offset + size)}>
        Next
      </button>
    </nav>
  );
}
