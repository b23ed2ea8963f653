import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { execa } from 'execa';

const root = join(import.meta.dirname, '../..');
const node = (file: string, ...args: string[]) =>
  execa(process.execPath, [join(root, file), ...args], { reject: false });
const fake = (does: string) => node('test/fixtures/parity/fake-parity.ts', does);
const lastLine = (stdout: string): unknown => JSON.parse(stdout.split('\n').at(-1) ?? '');

test('a row a golden, and one JSON object at the end', async () => {
  const { stdout, exitCode } = await fake('good');
  expect(stdout).toMatch(/a fake +nobody +1 +1\.0e-6 +1\.0e-3\n/);
  expect(lastLine(stdout)).toEqual({ checks: 1, worst: 1e-6, failed: 0 });
  expect(exitCode).toBe(0);
});

test.each([
  ['fails', 'fake dx: 0.5 is above 0.001', { checks: 2, worst: 0.5, failed: 1 }],
  ['nan', 'fake dx: null is above', { checks: 2, worst: null, failed: 1 }],
  ['fails-elsewhere', 'refused: a width of 7: 1 is above 0', { checks: 1, worst: 1e-6, failed: 1 }],
  ['ends-early', 'ended with 3.*no golden here', { checks: 1, worst: 1e-6, failed: 1 }],
  ['is-killed', 'was ended by a signal', { checks: 1, worst: 1e-6, failed: 1 }],
  ['does-not-compile', 'does not compile', { checks: 0, worst: 0, failed: 2 }],
  ['lenient', 'its limit of 0.05 is above', { checks: 2, worst: 0.01, failed: 1 }],
  ['empty', 'a fake: 0 checks, and not 1 or more', { checks: 0, worst: 0, failed: 1 }],
])('a program that %s fails the command', async (does, said, summary) => {
  const { stdout, exitCode } = await fake(does);
  expect(stdout).toMatch(new RegExp(`FAILED fake-golden-test: .*${said}`));
  expect(lastLine(stdout)).toEqual(summary);
  expect(exitCode).toBe(1);
});

test.each([[['--al']], [['golden_test']]])('%p is refused', async (args) => {
  const { exitCode, stdout } = await node('test/parity/parity.ts', ...args);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
});
