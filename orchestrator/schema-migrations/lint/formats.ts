import type { Finding, Severity } from './finding.ts';
import { rules, type RuleName } from './rules.ts';

/* Findings for the programs of a vendor's CI. */

export const formats = ['text', 'github', 'json', 'sarif'] as const;
export type Format = (typeof formats)[number];

/**
 * GitHub's workflow commands, one a line.
 * Source: "Workflow commands for GitHub Actions", docs.github.com.
 */
export function formatForGithub(findings: readonly Finding[]): string {
  const level = { error: 'error', warning: 'warning', info: 'notice' } as const;
  return findings
    .map((finding) => {
      const kind = finding.accepted === undefined ? level[finding.severity] : 'notice';
      const properties = { file: finding.file, line: String(finding.line), title: finding.rule };
      const said = Object.entries(properties)
        .map(([name, value]) => `${name}=${escapeData(value).replaceAll(':', '%3A').replaceAll(',', '%2C')}`)
        .join(',');
      return `::${kind} ${said}::${escapeData(`${sentence(finding)} ${rules[finding.rule].recipe}`)}`;
    })
    .join('\n');
}

const escapeData = (text: string) =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

function sentence({ message, rule, accepted }: Finding): string {
  const text = `${message.slice(0, 1).toUpperCase()}${message.slice(1)}.`;
  return accepted === undefined ? `${text} ${rules[rule].why}` : `${text} Accepted: ${accepted}.`;
}

/** A finding with the text of its rule, as `--json` and `--format json` give it. */
export function withRule(finding: Finding): Finding & { readonly why: string; readonly recipe: string } {
  const { why, recipe } = rules[finding.rule];
  return { ...finding, why, recipe };
}

/**
 * SARIF 2.1.0: what code scanning reads. Accepted findings are suppressed in the source.
 *
 * @param version of Holdfast
 */
export function toSarif(findings: readonly Finding[], version: string): Record<string, unknown> {
  const used = [...new Set(findings.map(({ rule }) => rule))].toSorted();
  const level: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', info: 'note' };
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'holdfast', version, rules: used.map(describeRule) } },
        results: findings.map((finding) => ({
          ruleId: finding.rule,
          ruleIndex: used.indexOf(finding.rule),
          level: level[finding.severity],
          message: { text: `${sentence(finding)} ${rules[finding.rule].recipe}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(finding.file), uriBaseId: '%SRCROOT%' },
                region: { startLine: finding.line },
              },
            },
          ],
          ...(finding.accepted === undefined
            ? {}
            : { suppressions: [{ kind: 'inSource', justification: finding.accepted }] }),
        })),
      },
    ],
  };
}

function describeRule(name: RuleName): Record<string, unknown> {
  const { why, recipe } = rules[name];
  return { id: name, shortDescription: { text: why }, help: { text: recipe } };
}
