import type { Version } from './api.ts';

/** Which version answers, as an operator would name it on the telephone. */
export function PageFooter({ version }: { readonly version: Version | undefined }) {
  return (
    <footer className="bottom">
      <dl>
        <Fact name="Release" value={version?.release} />
        <Fact name="Commit" value={version?.commit.slice(0, 8)} title={version?.commit} />
        <Fact name="Schema" value={version === undefined ? undefined : (version.schema ?? 'none')} />
      </dl>
    </footer>
  );
}

interface FactProps {
  readonly name: string;
  readonly value: string | undefined;
  readonly title?: string | undefined;
}

function Fact({ name, value, title }: FactProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={title}>{value ?? '…'}</dd>
    </div>
  );
}
