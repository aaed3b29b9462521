import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';

/* `context.addColumnWithDefault`: a column that must have a value, on a table that is in use. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
});

afterAll(async () => {
  await appliance?.stop();
});

const adds = (more = '') =>
  `  async up(prisma, { addColumnWithDefault }) {
    return await addColumnWithDefault({
      table: 'users', column: 'the slug', type: 'text', default: "'none'", value: "'user-' || id" ${more}
    });
  },`;
const column = async () =>
  await appliance.sql(`SELECT is_nullable, column_default FROM information_schema.columns
    WHERE table_name = 'users' AND column_name = 'the slug'`);
const whole = [{ is_nullable: 'NO', column_default: `'none'::text` }];
const wrong = async () =>
  (
    await appliance.sql(
      `SELECT count(*)::int AS n FROM users WHERE "the slug" IS DISTINCT FROM 'user-' || id`,
    )
  )[0];
const checks = async () =>
  await appliance.sql(
    `SELECT conname FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'c'`,
  );

test('killed in the middle of the rows, it goes on there: every row has its value, new ones the default, none may be null', async () => {
  await appliance.fill(20_000);
  appliance.migration('001_slug', adds(', size: 200'));
  const first = appliance.start(['--json']);
  const end = ended(first);
  await untilItSays(first, 'migration-progress');
  process.kill(-(first.pid ?? 0), 'SIGKILL');
  await end;
  // Nullable still, and what comes in meanwhile has its value; an older release writes null all the same.
  expect(await column()).toEqual([{ is_nullable: 'YES', column_default: `'none'::text` }]);
  await appliance.sql(`INSERT INTO users (id, "the slug") VALUES (-5, null)`);

  const { exitCode, events } = await appliance.run('--json');
  expect(events.at(-1)).toMatchObject({ ok: true });
  expect(exitCode).toBe(0);
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'migration-log', message: expect.stringMatching(/^goes on after /) }),
  );
  expect(await column()).toEqual(whole);
  expect(await wrong()).toEqual({ n: 0 });
  expect(await checks()).toEqual([]);
  await appliance.sql(`INSERT INTO users (id) VALUES (-6)`);
  expect(await appliance.sql(`SELECT "the slug" AS s FROM users WHERE id = -6`)).toEqual([{ s: 'none' }]);
});

test('killed behind the rows, with the check there, which nothing has validated: it is made whole', async () => {
  await appliance.fill(10);
  await appliance.sql(`ALTER TABLE users ADD COLUMN "the slug" text;
    ALTER TABLE users ADD CONSTRAINT "the slug_not_null_yet" CHECK ("the slug" IS NOT NULL) NOT VALID`);
  appliance.migration('001_slug', adds());
  expect(await appliance.run('--json')).toMatchObject({ exitCode: 0 });
  expect(await column()).toEqual(whole);
  expect(await wrong()).toEqual({ n: 0 });
  expect(await checks()).toEqual([]);
});

test('while it checks the rows, others read and write; a dry run leaves nothing', async () => {
  await appliance.fill(10);
  appliance.migration('001_slug', adds());
  expect(await appliance.run('--dry-run')).toMatchObject({ exitCode: 0 });
  expect(await column()).toEqual([]);

  // Every lock that it takes on the table, by what it was taken for.
  await appliance.sql(`CREATE TABLE taken (tag text, mode text);
    CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO taken SELECT current_query(), mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'users'::regclass;
    END $$;
    CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION note()`);
  expect(await appliance.run('--json')).toMatchObject({ exitCode: 0 });
  const modes = await appliance.sql(
    `SELECT DISTINCT mode FROM taken WHERE tag LIKE '%VALIDATE CONSTRAINT%' ORDER BY mode`,
  );
  expect(modes).toEqual([{ mode: 'ShareUpdateExclusiveLock' }]);
  expect(await appliance.sql(`SELECT count(*)::int AS n FROM taken WHERE tag LIKE '%NOT VALID%'`)).toEqual([
    { n: 1 },
  ]);
  expect(await appliance.sql(`SELECT DISTINCT mode FROM taken WHERE tag LIKE '%SET NOT NULL%'`)).toEqual([
    { mode: 'AccessExclusiveLock' },
  ]);
});

test('a value that is null for a row: told with the row, and the application goes on writing', async () => {
  await appliance.fill(3);
  await appliance.sql(`UPDATE users SET name = NULL WHERE id = 2`);
  appliance.migration('001_slug', adds().replace("'user-' || id", 'upper(name)'));
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toMatch(
    /1 rows of users get null for the slug by upper\(name\); .*one of them: \{"n": 0, "id": 2/,
  );
  expect(exitCode).toBe(1);
  await appliance.sql('UPDATE users SET n = 5');
  expect(await checks()).toEqual([]);
  appliance.migration('001_slug', adds().replace("'user-' || id", "coalesce(upper(name), 'none')"));
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await column()).toEqual(whole);
});

test('a check that does not hold in the end is taken off again', async () => {
  await appliance.fill(3);
  // It has a value whenever it is only looked at, and none when it is written.
  await appliance.sql(`CREATE SEQUENCE looks; CREATE FUNCTION slug() RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN nextval('looks') % 6 = ANY ('{1,2,3}') THEN 'looked' END $$`);
  appliance.migration('001_slug', adds().replace("'user-' || id", 'slug()'));
  const { exitCode, stdout } = await appliance.run();
  expect(stdout).toContain('the slug of users may be null, as before: the check was taken off again');
  expect(exitCode).toBe(1);
  await appliance.sql('UPDATE users SET n = 5');
  expect(await checks()).toEqual([]);
});
