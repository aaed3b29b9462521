import { useState, type InputHTMLAttributes } from 'react';
import { STATUSES, type Department, type MachineInput } from './api.ts';
import { Modal } from './modal.tsx';
import { STATUS_NAMES } from './status-names.ts';
import { useSubmit } from './use-submit.ts';

interface MachineDialogProps {
  readonly departments: readonly Department[];
  /** The department that is chosen beforehand. */
  readonly departmentId: number | null;
  readonly onClose: () => void;
  readonly onSaved: () => void;
}

/** Adds a machine. */
export function MachineDialog({ departments, departmentId, onClose, onSaved }: MachineDialogProps) {
  const [input, setInput] = useState<MachineInput>({
    name: '',
    serial: '',
    location: '',
    status: 'active',
    departmentId,
  });
  const { busy, problem, send } = useSubmit(onSaved);
  const change = (part: Partial<MachineInput>): void => setInput({ ...input, ...part });

  return (
    <Modal title="Add a machine" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send('/api/machines', { method: 'POST', body: input });
        }}
      >
        <TextField
          label="Name"
          required
          maxLength={200}
          value={input.name}
          onText={(name) => change({ name })}
        />
        <TextField
          label="Serial number"
          required
          maxLength={200}
          value={input.serial}
          onText={(serial) => change({ serial })}
        />
        <TextField
          label="Place"
          maxLength={500}
          value={input.location}
          onText={(location) => change({ location })}
        />
        <label className="field">
          <span>Department</span>
          <select
            value={input.departmentId ?? ''}
            onChange={(event) => change({ departmentId: Number(event.target.value) || null })}
          >
            <option value="">None</option>
            {departments.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Status</span>
          <select
            value={input.status}
            onChange={(event) =>
              change({ status: STATUSES.find((status) => status === event.target.value) ?? 'active' })
            }
          >
            {STATUSES.map((status) => (
              <option key={status} value={status}>
                {STATUS_NAMES[status]}
              </option>
            ))}
          </select>
        </label>
        {problem !== '' && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="primary" disabled={busy}>
            Add
          </button>
        </div>
      </form>
    </Modal>
  );
}

type TextFieldProps = Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange'> & {
  readonly label: string;
  readonly onText: (text: string) => void;
};

function TextField({ label, onText, ...rest }: TextFieldProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <input {...rest} type="text" autoComplete="off" onChange={(event) => onText(event.target.value)} />
    </label>
  );
}
