import type { AlterDomainStmt, CreateDomainStmt } from 'libpg-query';
import { constraintsOf, keyOfNames, namesOf } from './nodes.ts';
import type { Review } from './review.ts';

export function createDomain(review: Review, { domainname, constraints }: CreateDomainStmt): void {
  const domain = keyOfNames(namesOf(domainname));
  const kinds = constraintsOf(constraints).map(({ contype }) => contype);
  review.createType(domain);
  if (kinds.includes('CONSTR_NOTNULL') || kinds.includes('CONSTR_CHECK'))
    review.schema.addConstrainedDomain(domain);
  if (kinds.includes('CONSTR_NOTNULL') && !kinds.includes('CONSTR_DEFAULT'))
    review.schema.addStrictDomain(domain);
}

/** What is asked of a domain is asked of every column that is made of it. */
export function reviewDomain(
  review: Review,
  { subtype, typeName, def }: AlterDomainStmt,
  line: number,
): void {
  const domain = keyOfNames(namesOf(typeName));
  if (subtype === 'O' || subtype === 'C') review.schema.addConstrainedDomain(domain);
  if (review.isNewType(domain)) return;
  if (subtype === 'O')
    review.report('set-not-null', line, `makes every column of the domain ${domain} NOT NULL`);
  if (subtype === 'C' && !(def && 'Constraint' in def && def.Constraint.skip_validation === true))
    review.report('check-validates', line, `checks every column of the domain ${domain} against a CHECK`);
}
