import { openDatabase } from '../src/database.ts';
import { EnvironmentError, parseDatabaseUrl } from '../src/environment.ts';
import type { MachineStatus, PrismaClient } from '../src/generated/client.ts';

const DEPARTMENTS = [
  { name: 'Goods in', code: 'GIN' },
  { name: 'Machining', code: 'MAC' },
  { name: 'Assembly', code: 'ASM' },
  { name: 'Quality', code: 'QLT' },
];

type Seed = readonly [
  name: string,
  serial: string,
  location: string,
  status: MachineStatus,
  department: string,
];

const MACHINES: readonly Seed[] = [
  ['Forklift 2', 'FL-20-0117', 'Dock A', 'active', 'Goods in'],
  ['Pallet scale', 'PS-18-0042', 'Dock A', 'active', 'Goods in'],
  ['Lathe 1', 'LT-16-3301', 'Hall 1, bay 2', 'active', 'Machining'],
  ['Lathe 2', 'LT-16-3302', 'Hall 1, bay 3', 'maintenance', 'Machining'],
  ['Mill 5-axis', 'ML-22-0009', 'Hall 1, bay 6', 'active', 'Machining'],
  ['Press 40 t', 'PR-11-0805', 'Hall 2, bay 1', 'retired', 'Assembly'],
  ['Screw station', 'SC-21-1140', 'Hall 2, bay 4', 'active', 'Assembly'],
  ['Coordinate gauge', 'CG-19-0230', 'Lab', 'active', 'Quality'],
];

/** As an older release left them: only the free text, which the first data migration turns into links. */
const LEGACY_MACHINES: readonly Seed[] = [
  ['Hardness tester', 'HT-09-0071', 'Lab', 'active', 'Quality'],
  ['Paint booth', 'PB-08-0003', 'Hall 3', 'maintenance', 'Paint shop'],
];

/** Fills an empty appliance with something to look at. May be run again: what is there already stays as it is. */
async function seed(prisma: PrismaClient): Promise<void> {
  const ids = new Map<string, number>();
  for (const data of DEPARTMENTS) {
    const row = await prisma.department.upsert({ where: { name: data.name }, create: data, update: {} });
    ids.set(row.name, row.id);
  }
  for (const machine of [...MACHINES, ...LEGACY_MACHINES]) {
    const [name, serial, location, status, departmentName] = machine;
    const departmentId = LEGACY_MACHINES.includes(machine) ? null : (ids.get(departmentName) ?? null);
    const create = { name, serial, location, status, departmentName, departmentId };
    await prisma.machine.upsert({ where: { serial }, create, update: {} });
  }
  const [departments, machines] = [await prisma.department.count(), await prisma.machine.count()];
  console.log(`The database holds ${departments} departments and ${machines} machines.`);
}

try {
  const { prisma } = openDatabase(parseDatabaseUrl(process.env, 'seed the database'));
  try {
    await seed(prisma);
  } finally {
    await prisma.$disconnect();
  }
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
