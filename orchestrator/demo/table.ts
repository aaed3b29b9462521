import { formatCount, formatDuration } from '../lib/units.ts';
import { updateSteps } from '../pipeline/steps.ts';
import type { Paint } from '../ui/ui.ts';
import type { RunReport } from './stage.ts';

/** What the table says of every run: a line each, so that it fits a terminal of 80 columns. */
interface Row {
  readonly title: string;
  readonly cell: (run: RunReport) => string;
  readonly colour?: (run: RunReport, paint: Paint) => (text: string) => string;
}

const rows: readonly Row[] = [
  {
    title: 'outcome',
    cell: ({ outcome }) => outcome,
    colour: ({ problems }, paint) => (problems.length === 0 ? paint.green : paint.red),
  },
  {
    title: 'failed step',
    cell: ({ failedStep }) => (failedStep === undefined ? '-' : titleOfStep(failedStep)),
  },
  { title: 'duration', cell: ({ totalMs }) => formatDuration(totalMs) },
  { title: 'ms without a healthy answer', cell: ({ outageMs }) => formatCount(outageMs) },
  { title: 'rows checked', cell: ({ rowsChecked }) => formatCount(rowsChecked) },
  {
    title: 'lost writes',
    cell: ({ lostWrites }) => formatCount(lostWrites),
    colour: ({ lostWrites }, paint) => (lostWrites === 0 ? paint.green : paint.red),
  },
  {
    title: 'writes set aside',
    cell: ({ setAside }) => (setAside === undefined ? '-' : formatCount(setAside)),
  },
  {
    title: 'as before',
    cell: ({ identical }) => (identical === undefined ? '-' : identical ? 'identical' : 'NOT IDENTICAL'),
    colour: ({ identical }, paint) =>
      identical === undefined ? paint.dim : identical ? paint.green : paint.red,
  },
];

const gap = '  ';
const plain = (text: string) => text;

/** The runs side by side, at most 80 columns; padded before it is coloured, or colours would push columns apart. */
export function formatTable(runs: readonly RunReport[], paint: Paint): string {
  const labelWidth = Math.max(...rows.map(({ title }) => title.length));
  const widths = runs.map((run) =>
    Math.max(heading(run).length, ...rows.map(({ cell }) => cell(run).length)),
  );
  const line = (label: string, cells: readonly string[], styles: readonly ((padded: string) => string)[]) =>
    [
      paint.dim(label.padEnd(labelWidth)),
      ...cells.map((cell, index) => {
        // What ends a line is not padded: trailing spaces would be cut or wrapped.
        const padded = index === cells.length - 1 ? cell : cell.padEnd(widths[index] ?? 0);
        return (styles[index] ?? plain)(padded);
      }),
    ].join(gap);
  return [
    line(
      '',
      runs.map(heading),
      runs.map(() => paint.bold),
    ),
    ...rows.map(({ title, cell, colour }) =>
      line(
        title,
        runs.map(cell),
        runs.map((run) => colour?.(run, paint) ?? plain),
      ),
    ),
  ].join('\n');
}

/** "update to v2.0.0" is too wide three times. */
function heading({ title }: RunReport): string {
  return title.replace(' to ', ' ');
}

/** As the update itself calls it. */
function titleOfStep(name: string): string {
  return updateSteps.find((step) => step.name === name)?.title ?? name;
}
