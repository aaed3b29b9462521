import { STATUSES, type Machine, type Page } from './api.ts';
import { isNarrowed, NO_FILTER, type Filter } from './machine-filter.ts';
import { MachineTable } from './machine-table.tsx';
import { Pager } from './pager.tsx';
import { STATUS_NAMES } from './status-names.ts';

interface MachinePanelProps {
  readonly page: Page<Machine> | undefined;
  readonly failed: boolean;
  readonly filter: Filter;
  readonly pageSize: number;
  readonly onFilter: (change: Partial<Filter>) => void;
  readonly onAdd: () => void;
  readonly onDelete: (machine: Machine) => void;
  readonly onChanged: () => void;
}

/** The machines: searching and narrowing above, the table, the pages below. */
export function MachinePanel(props: MachinePanelProps) {
  const { page, failed, filter, pageSize, onFilter, onAdd, onDelete, onChanged } = props;
  return (
    <section className="panel machines" aria-labelledby="machines-title" aria-busy={failed}>
      <div className="panel-head">
        <h2 id="machines-title">
          Machines {page !== undefined && <span className="count">{page.total}</span>}
        </h2>
        <button type="button" className="primary" onClick={onAdd}>
          Add a machine
        </button>
      </div>
      <div className="filters" role="search">
        <input
          type="search"
          placeholder="Name, serial number or place"
          aria-label="Search the machines"
          maxLength={100}
          value={filter.search}
          onChange={(event) => onFilter({ search: event.target.value })}
        />
        <fieldset className="segments">
          <legend className="unseen">Status</legend>
          {(['', ...STATUSES] as const).map((status) => (
            <label key={status}>
              <input
                type="radio"
                name="status"
                checked={filter.status === status}
                onChange={() => onFilter({ status })}
              />
              <span>{status === '' ? 'Any' : STATUS_NAMES[status]}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <Content
        page={page}
        failed={failed}
        filter={filter}
        onFilter={onFilter}
        onDelete={onDelete}
        onChanged={onChanged}
      />
      {page !== undefined && page.total > pageSize && (
        <Pager
          offset={filter.offset}
          size={pageSize}
          total={page.total}
          onMove={(offset) => onFilter({ offset })}
        />
      )}
    </section>
  );
}

type ContentProps = Pick<
  MachinePanelProps,
  'page' | 'failed' | 'filter' | 'onFilter' | 'onDelete' | 'onChanged'
>;

function Content({ page, failed, filter, onFilter, onDelete, onChanged }: ContentProps) {
  if (page === undefined) {
    if (failed) return <p className="empty">The machines appear as soon as the server answers.</p>;
    return (
      <div className="bones" role="status" aria-label="Loading the machines">
        <span />
        <span />
        <span />
        <span />
      </div>
    );
  }
  if (page.items.length > 0) {
    return <MachineTable machines={page.items} onDelete={onDelete} onChanged={onChanged} />;
  }
  return (
    <div className="empty">
      {isNarrowed(filter) ? (
        <>
          <p>No machine matches.</p>
          <button type="button" onClick={() => onFilter(NO_FILTER)}>
            Show all machines
          </button>
        </>
      ) : (
        <p>There are no machines yet. Add the first one.</p>
      )}
    </div>
  );
}
