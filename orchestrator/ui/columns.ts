/**
 * Lines in columns, under a line that says what they are. A row may end early, as one that is only a remark does: its
 * last cell takes the room that is left.
 *
 * @param options.right columns of numbers, by index
 * @param options.header how the first line is painted
 */
export function formatColumns(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: { right?: readonly number[]; header?: (line: string) => string } = {},
): string[] {
  const whole = [header, ...rows].filter((row) => row.length === header.length);
  const widths = header.map((_, index) => Math.max(...whole.map((row) => (row[index] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => {
        if (index === row.length - 1 && row.length < header.length) return cell;
        const width = widths[index] ?? 0;
        return options.right?.includes(index) === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [(options.header ?? ((text: string) => text))(line(header)), ...rows.map(line)];
}
