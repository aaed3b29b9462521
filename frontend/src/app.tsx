import { useDeferredValue, useState } from 'react';
import type { Department, Machine, Page, Version } from './api.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { DepartmentList } from './department-list.tsx';
import { MachineDialog } from './machine-dialog.tsx';
import { NO_FILTER, PAGE_SIZE, toPath, type Filter } from './machine-filter.ts';
import { MachinePanel } from './machine-panel.tsx';
import { Notice } from './notice.tsx';
import { PageFooter } from './page-footer.tsx';
import { useLoaded } from './use-loaded.ts';

type Open = { readonly dialog: 'add' } | { readonly dialog: 'delete'; readonly machine: Machine } | undefined;

/** The one page: departments beside the machines that belong to them. */
export function App() {
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const [open, setOpen] = useState<Open>();
  const departments = useLoaded<Page<Department>>('/api/departments?limit=200');
  const machines = useLoaded<Page<Machine>>(toPath(useDeferredValue(filter)));
  const version = useLoaded<Version>('/version', 30_000);
  const everything = [departments, machines, version];

  const reload = (): void => {
    departments.reload();
    machines.reload();
  };
  const closeAfterChange = (): void => {
    setOpen(undefined);
    reload();
  };
  /** A new filter starts at its first page. */
  const narrow = (change: Partial<Filter>): void => setFilter({ ...filter, offset: 0, ...change });

  return (
    <>
      <header className="top">
        <div className="top-inner">
          <img src="/icon.svg" alt="" width="32" height="32" />
          <h1>Inventory</h1>
          <Health
            away={everything.some(({ failure }) => failure?.unavailable)}
            known={version.data !== undefined}
          />
        </div>
      </header>
      <main>
        <Notice failures={everything.map(({ failure }) => failure)} version={version.data} onRetry={reload} />
        <div className="columns">
          <DepartmentList
            departments={departments.data?.items}
            failed={departments.failure !== undefined}
            chosen={filter.department}
            onChoose={(department) => narrow({ department })}
          />
          <MachinePanel
            page={machines.data}
            failed={machines.failure !== undefined}
            filter={filter}
            pageSize={PAGE_SIZE}
            onFilter={narrow}
            onAdd={() => setOpen({ dialog: 'add' })}
            onDelete={(machine) => setOpen({ dialog: 'delete', machine })}
            onChanged={reload}
          />
        </div>
      </main>
      <PageFooter version={version.data} />
      {open?.dialog === 'add' && (
        <MachineDialog
          departments={departments.data?.items ?? []}
          departmentId={typeof filter.department === 'number' ? filter.department : null}
          onClose={() => setOpen(undefined)}
          onSaved={closeAfterChange}
        />
      )}
      {open?.dialog === 'delete' && (
        <ConfirmDialog
          machine={open.machine}
          onClose={() => setOpen(undefined)}
          onDeleted={closeAfterChange}
        />
      )}
    </>
  );
}

function Health({ away, known }: { readonly away: boolean; readonly known: boolean }) {
  const [state, text] = away
    ? ['away', 'Reconnecting']
    : known
      ? ['well', 'Connected']
      : ['away', 'Connecting'];
  return (
    <span className={`health health-${state}`} role="status">
      {text}
    </span>
  );
}
