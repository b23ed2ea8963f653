import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

const script = resolve(import.meta.dirname, '../.ci/run');
const bin = mkdtempSync(join(tmpdir(), 'tiller-ci-'));
afterAll(() => rmSync(bin, { recursive: true, force: true }));

const run = async (summary: string, status: number) => {
  const npm = join(bin, 'npm');
  writeFileSync(
    npm,
    `#!/bin/sh\n[ "$1" = install ] && exit 0\necho '${summary}'\nexit ${status}\n`,
  );
  chmodSync(npm, 0o755);
  const { stdout, exitCode } = await execa(script, {
    env: { PATH: `${bin}:${process.env['PATH']}` },
    reject: false,
  });
  return [stdout.split('\n').at(-1), exitCode];
};

describe('.ci/run', () => {
  test.each([
    ['Tests:       97 passed, 97 total', 0, '97 passed, 0 failed'],
    ['Tests:       2 failed, 1 skipped, 95 passed, 98 total', 1, '95 passed, 2 failed'],
    ['Tests:       97 passed, 97 total', 1, '97 passed, 1 failed'],
    ['error TS2304', 2, '0 passed, 1 failed'],
  ])('after %s and exit code %i says %s', async (summary, status, line) => {
    expect(await run(summary, status)).toEqual([line, status]);
  });
  test('runs what README says, and nothing else', () => {
    const readme = readFileSync(resolve(import.meta.dirname, '../README.md'), 'utf8');
    expect(readme).toContain('npm install && npm test');
    const calls = readFileSync(script, 'utf8').match(/^.*\bnpm\b.*$/gm);
    expect(calls).toEqual(['(npm install && npm test) 2>&1 | tee "$log"']);
  });
});
