import { useState } from 'react';
import { ApiFailure, request, STATUSES, type Machine, type Status } from './api.ts';
import { STATUS_NAMES } from './status-names.ts';

interface MachineTableProps {
  readonly machines: readonly Machine[];
  readonly onDelete: (machine: Machine) => void;
  readonly onChanged: () => void;
}

/** One row a machine; on a narrow screen one card a machine, hence the labels in the cells. */
export function MachineTable({ machines, onDelete, onChanged }: MachineTableProps) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Machine</th>
          <th scope="col">Department</th>
          <th scope="col">Place</th>
          <th scope="col">Status</th>
          <th scope="col">
            <span className="unseen">Delete</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {machines.map((machine) => (
          <tr key={machine.id}>
            <th scope="row">
              {machine.name}
              <span className="serial">{machine.serial}</span>
            </th>
            <td data-label="Department">{machine.departmentName ?? <span className="muted">none</span>}</td>
            <td data-label="Place">{machine.location || <span className="muted">unknown</span>}</td>
            <td data-label="Status">
              <StatusSelect machine={machine} onChanged={onChanged} />
            </td>
            <td className="row-actions">
              <button
                type="button"
                className="quiet danger"
                aria-label={`Delete ${machine.name}`}
                title="Delete"
                onClick={() => onDelete(machine)}
              >
                <Bin />
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Changes the status at once. What the server has not confirmed is not shown as done. */
function StatusSelect({
  machine,
  onChanged,
}: Pick<MachineTableProps, 'onChanged'> & { readonly machine: Machine }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');

  const change = async (status: Status): Promise<void> => {
    setBusy(true);
    setProblem('');
    try {
      await request(`/api/machines/${machine.id}`, { method: 'PATCH', body: { status } });
      onChanged();
    } catch (error) {
      const away = error instanceof ApiFailure && error.unavailable;
      setProblem(away ? 'The server is being updated. Not changed.' : 'Not changed.');
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      <select
        className={`status status-${machine.status}`}
        aria-label={`Status of ${machine.name}`}
        value={machine.status}
        disabled={busy}
        onChange={(event) => {
          const status = STATUSES.find((candidate) => candidate === event.target.value);
          if (status !== undefined) void change(status);
        }}
      >
        {STATUSES.map((status) => (
          <option key={status} value={status}>
            {STATUS_NAMES[status]}
          </option>
        ))}
      </select>
      {problem !== '' && (
        <span className="problem" role="alert">
          {problem}
        </span>
      )}
    </>
  );
}

function Bin() {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor">
      <path
        d="M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6M8.5 9v4.5M11.5 9v4.5"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
