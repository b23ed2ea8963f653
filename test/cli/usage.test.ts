import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { runFields } from '../../cli/run-fields.ts';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';
import { createRun, setRunState } from '../../db/runs.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { bin, tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-usage-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const recipe = (name: string, text: string): string => {
  const path = join(home, name);
  writeFileSync(path, text);
  return path;
};

describe('one line, exit code 2', () => {
  test.each([
    ['trian', "Unknown command 'trian'. Did you mean train? [USAGE]"],
    ['runs --jsn', "Unknown option '--jsn'. Did you mean --json? [USAGE]"],
    ['train', "Missing required argument 'recipe'. See `tiller --help`. [USAGE]"],
    ['stop x --after lunch', '[USAGE]'],
    ['compare a b@1', 'Name the epoch, such as emoji@10.'],
    ['show a@b', 'RUN@EPOCH'],
    ['up --port 99999', 'Give a port'],
    ['extend x 0', 'Give an integer, 1 or more.'],
    ['demo --epochs 0', 'Give an integer, 1 or more.'],
    ['train nowhere.yaml', 'The recipe nowhere.yaml is not there.'],
    ['train /', 'is a folder'],
  ])('tiller %s', async (call, expected) => {
    const { code, out, err } = await tiller(home, call.split(' '));
    expect(err).toContain(expected);
    expect(err).toMatch(/\[[A-Z_]+\]$/);
    expect(err.split('\n')).toHaveLength(1);
    expect(out).toBe('');
    expect(code).toBe(2);
  });
  test('a recipe: a line for each mistake, with file and line', async () => {
    const path = recipe('bad.yaml', 'data: {folder: x}\ntrain:\n  learning_rte: 1\n  epochs: 0\n');
    const { code, err } = await tiller(home, ['train', path]);
    expect(err.split('\n').sort()).toEqual([
      'learning_rte: unknown key at train.learning_rte (bad.yaml, line 3). Did you mean learning_rate? [RECIPE_INVALID]',
      'train.epochs: 0 is out of range (bad.yaml, line 4). Allowed: an integer, 1 to 100,000. [RECIPE_INVALID]',
    ]);
    expect(code).toBe(2);
  });
  test('a data folder that is not there is said before anything is started', async () => {
    const path = recipe('lost.yaml', `data: {folder: ${join(home, 'nowhere')}}\n`);
    const { code, err } = await tiller(home, ['train', path]);
    expect(err).toMatch(/^The data folder .*nowhere is not there .* \[DATA_FOLDER_MISSING\]$/);
    expect(existsSync(join(home, 'logs'))).toBe(false);
    expect(code).toBe(2);
  });
  test('YAML that is none', async () => {
    const { code, err } = await tiller(home, ['train', recipe('none.yaml', 'a: [1')]);
    expect(err).toMatch(
      /^none.yaml is not valid YAML at line 1, column \d+: .* \[RECIPE_SYNTAX\]$/,
    );
    expect(code).toBe(2);
  });
});

describe('help and errors', () => {
  test('--help and --version go to stdout and are no error', async () => {
    expect(await tiller(home, ['--version'])).toMatchObject({ code: 0, err: '' });
    const { out, code } = await tiller(home, ['help', 'train']);
    expect(out).toContain('--set <key=value>');
    expect(code).toBe(0);
  });
  test('nothing at all is a usage error that shows the help', async () => {
    const { code, out, err } = await tiller(home, []);
    expect(err).toContain('Usage: tiller');
    expect(out).toBe('');
    expect(code).toBe(2);
  });
  test('--verbose adds the stack', async () => {
    const { err } = await tiller(home, ['show', 'nothing', '--verbose']);
    expect(err.split('\n')[0]).toMatch(/\[RUN_NOT_FOUND\]$/);
    expect(err).toMatch(/\n +at .*db\/runs\.ts/);
  });
  test('a home that cannot be made', async () => {
    const file = recipe('file', '');
    const { code, err } = await tiller(join(file, 'home'), ['runs']);
    expect(err).toMatch(/\[HOME_UNWRITABLE\]$/);
    expect(code).toBe(1);
  });
  test('runs that can not go on where nothing is up: that is said', async () => {
    const own = mkdtempSync(join(home, 'down-'));
    const { record } = homePaths(own);
    migrate(record);
    const db = openRecord(record);
    const parsed = parseRecipe('name: alone\ndata: {folder: /pictures}', { folder: '/' });
    const { id } = createRun(db, runFields(parsed));
    const said = 'Tiller is not running: `tiller up` goes on with what is under way.';
    expect(await tiller(own, ['runs'])).toMatchObject({ err: said, code: 0 });
    setRunState(db, id, 'stopped');
    expect((await tiller(own, ['runs'])).err).toBe('');
    db.close();
  });
  test('a record that is none', async () => {
    writeFileSync(
      join(home, 'tiller.db'),
      'this is no database, but long enough to be taken for one. '.repeat(20),
    );
    const { code, err } = await tiller(home, ['runs']);
    rmSync(join(home, 'tiller.db'));
    expect(err).toMatch(/\[RECORD_CORRUPT\]$/);
    expect(code).toBe(1);
  });
  test('a pipe that closes early is no error', async () => {
    const script = `"${bin}" --help | head -c 1`;
    const { stdout, stderr } = await execa('sh', ['-c', script], { env: { TILLER_HOME: home } });
    expect(stdout).toBe('U');
    expect(stderr).toBe('');
  });
});
