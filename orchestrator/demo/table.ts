import { formatCount, formatDuration } from '../lib/units.ts';
import { stepTitles } from '../pipeline/step-titles.ts';
import type { Paint } from '../ui/ui.ts';
import type { RunReport } from './stage.ts';

interface Column {
  readonly title: string;
  readonly cell: (run: RunReport) => string;
  readonly align: 'left' | 'right';
  readonly colour?: (run: RunReport, paint: Paint) => (text: string) => string;
}

const columns: readonly Column[] = [
  { title: 'run', cell: ({ title }) => title, align: 'left' },
  {
    title: 'outcome',
    cell: ({ outcome }) => outcome,
    align: 'left',
    colour: ({ problems }, paint) => (problems.length === 0 ? paint.green : paint.red),
  },
  {
    title: 'failed step',
    cell: ({ failedStep }) =>
      failedStep === undefined ? '-' : ((stepTitles as Record<string, string>)[failedStep] ?? failedStep),
    align: 'left',
  },
  { title: 'duration', cell: ({ totalMs }) => formatDuration(totalMs), align: 'right' },
  { title: 'outage', cell: ({ outageMs }) => `${formatCount(outageMs)} ms`, align: 'right' },
  { title: 'rows checked', cell: ({ rowsChecked }) => formatCount(rowsChecked), align: 'right' },
  {
    title: 'lost writes',
    cell: ({ lostWrites }) => formatCount(lostWrites),
    align: 'right',
    colour: ({ lostWrites }, paint) => (lostWrites === 0 ? paint.green : paint.red),
  },
  {
    title: 'set aside',
    cell: ({ setAside }) => (setAside === undefined ? '-' : formatCount(setAside)),
    align: 'right',
  },
  {
    title: 'identical',
    cell: ({ identical }) => (identical === undefined ? '-' : identical ? 'identical' : 'NO'),
    align: 'left',
    colour: ({ identical }, paint) =>
      identical === undefined ? paint.dim : identical ? paint.green : paint.red,
  },
];

/** The runs as a table: padded before it is coloured, so that colours do not push columns apart. */
export function formatTable(runs: readonly RunReport[], paint: Paint): string {
  const widths = columns.map(({ title, cell }) =>
    Math.max(title.length, ...runs.map((run) => cell(run).length)),
  );
  const line = (text: (column: Column) => string, style: (column: Column) => (padded: string) => string) =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        const padded = column.align === 'left' ? text(column).padEnd(width) : text(column).padStart(width);
        return style(column)(padded);
      })
      .join('  ')
      .trimEnd();
  const plain = (text: string) => text;
  return [
    line(
      ({ title }) => title,
      () => paint.bold,
    ),
    ...runs.map((run) =>
      line(
        ({ cell }) => cell(run),
        ({ colour }) => colour?.(run, paint) ?? plain,
      ),
    ),
  ].join('\n');
}
