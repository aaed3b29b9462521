import type { ReactNode } from 'react';
import type { Department } from './api.ts';
import type { Filter } from './machine-filter.ts';

interface DepartmentListProps {
  readonly departments: readonly Department[] | undefined;
  readonly failed: boolean;
  readonly chosen: Filter['department'];
  readonly onChoose: (department: Filter['department']) => void;
}

/** The departments with their numbers of machines; choosing one narrows the table. */
export function DepartmentList({ departments, failed, chosen, onChoose }: DepartmentListProps) {
  return (
    <section className="panel departments" aria-labelledby="departments-title">
      <h2 id="departments-title">Departments</h2>
      {departments === undefined ? (
        <Placeholder failed={failed} />
      ) : (
        <ul>
          <Choice chosen={chosen === undefined} onChoose={() => onChoose(undefined)}>
            <span className="department-name">All machines</span>
          </Choice>
          {departments.map(({ id, name, code, machineCount }) => (
            <Choice key={id} chosen={chosen === id} onChoose={() => onChoose(id)}>
              <span className="department-name">{name}</span>
              {code !== null && <span className="code">{code}</span>}
              <Count machines={machineCount} />
            </Choice>
          ))}
          <Choice chosen={chosen === 'none'} onChoose={() => onChoose('none')}>
            <span className="department-name muted">No department</span>
          </Choice>
        </ul>
      )}
      {departments?.length === 0 && <p className="hint">There are no departments yet.</p>}
    </section>
  );
}

interface ChoiceProps {
  readonly chosen: boolean;
  readonly onChoose: () => void;
  readonly children: ReactNode;
}

function Choice({ chosen, onChoose, children }: ChoiceProps) {
  return (
    <li>
      <button type="button" className="department" aria-pressed={chosen} onClick={onChoose}>
        {children}
      </button>
    </li>
  );
}

function Count({ machines }: { readonly machines: number }) {
  return (
    <span className="count">
      {machines}
      <span className="unseen"> {machines === 1 ? 'machine' : 'machines'}</span>
    </span>
  );
}

function Placeholder({ failed }: { readonly failed: boolean }) {
  if (failed) return <p className="hint">They appear as soon as the server answers.</p>;
  return (
    <div className="bones" role="status" aria-label="Loading the departments">
      <span />
      <span />
      <span />
    </div>
  );
}
