import { useState } from 'react';
import type { ApiFailure, Version } from './api.ts';

interface NoticeProps {
  readonly failures: readonly (ApiFailure | undefined)[];
  readonly version: Version | undefined;
  readonly onRetry: () => void;
}

/** Says above everything what the reader should know: the server is away, something failed, or a new version runs. */
export function Notice({ failures, version, onRetry }: NoticeProps) {
  const [firstCommit, setFirstCommit] = useState<string>();
  if (firstCommit === undefined && version) setFirstCommit(version.commit);
  const known = failures.filter((failure) => failure !== undefined);
  const away = known.find((failure) => failure.unavailable);
  const refused = known.find((failure) => !failure.unavailable);

  if (away) {
    return (
      <div className="notice notice-away" role="status">
        <span className="spinner" aria-hidden="true" />
        <p>{away.message}</p>
      </div>
    );
  }
  if (refused) {
    return (
      <div className="notice notice-error" role="alert">
        <p>{refused.message}</p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </div>
    );
  }
  if (version && firstCommit !== undefined && version.commit !== firstCommit) {
    return (
      <div className="notice notice-new" role="status">
        <p>Release {version.release} is running now.</p>
        <button type="button" onClick={() => window.location.reload()}>
          Load the new page
        </button>
      </div>
    );
  }
  return null;
}
