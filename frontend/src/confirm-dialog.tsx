import type { Machine } from './api.ts';
import { Modal } from './modal.tsx';
import { useSubmit } from './use-submit.ts';

interface ConfirmDialogProps {
  readonly machine: Machine;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

/** Asks before a machine is deleted; the harmless answer has the focus. */
export function ConfirmDialog({ machine, onClose, onDeleted }: ConfirmDialogProps) {
  const { busy, problem, send } = useSubmit(onDeleted);
  return (
    <Modal title={`Delete ${machine.name}?`} onClose={onClose}>
      <p>
        The machine with serial number <strong>{machine.serial}</strong> is removed for good.
      </p>
      {problem !== '' && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="dialog-actions">
        <button type="button" onClick={onClose}>
          Keep it
        </button>
        <button
          type="button"
          className="primary destructive"
          disabled={busy}
          onClick={() => send(`/api/machines/${machine.id}`, { method: 'DELETE' })}
        >
          Delete
        </button>
      </div>
    </Modal>
  );
}
