import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

const script = resolve(import.meta.dirname, '../.ci/run');
const bin = mkdtempSync(join(tmpdir(), 'tiller-ci-'));
afterAll(() => rmSync(bin, { recursive: true, force: true }));

function stub(program: string, script: string): void {
  const path = join(bin, program);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

interface Given {
  summary?: string;
  status?: number;
  /** What `npm run test:vulkan` ends with, before apt-get has installed anything and after. */
  vulkan?: [number, number];
  user?: number;
}

/** The last lines, the exit code, and whether packages were installed. */
async function run({ summary = passing, status = 0, vulkan = [0, 0], user = 0 }: Given) {
  const installed = join(bin, 'installed');
  rmSync(installed, { force: true });
  stub(
    'npm',
    `case "$*" in install) exit 0;; "run test:vulkan") [ -e ${installed} ] && exit ${vulkan[1]}; exit ${vulkan[0]};; esac
    echo '${summary}'; exit ${status}`,
  );
  stub('apt-get', `[ "$1" = install ] && echo "$@" > ${installed}; exit 0`);
  stub('id', `echo ${user}`);
  const { stdout, exitCode } = await execa(script, {
    env: { PATH: `${bin}:${process.env['PATH']}` },
    reject: false,
  });
  const line = stdout.split('\n').at(-1);
  return { line, exitCode, untested: stdout.includes('Vulkan was not tested') };
}

const passing = 'Tests:       97 passed, 97 total';

describe('.ci/run', () => {
  test.each([
    [passing, 0, '98 passed, 0 failed'], // with Vulkan's
    ['Tests:       2 failed, 1 skipped, 95 passed, 98 total', 1, '95 passed, 2 failed'],
    [passing, 1, '97 passed, 1 failed'],
    ['error TS2304', 2, '0 passed, 1 failed'],
  ])('after %s and exit code %i says %s', async (summary, status, line) => {
    expect(await run({ summary, status })).toEqual({ line, exitCode: status, untested: false });
  });
  test('fails where Vulkan fails', async () => {
    const result = await run({ vulkan: [1, 1] });
    expect(result).toEqual({ line: '97 passed, 1 failed', exitCode: 1, untested: false });
  });
  test("installs Vulkan's packages where they are missing", async () => {
    const result = await run({ vulkan: [2, 0] });
    expect(result).toEqual({ line: '98 passed, 0 failed', exitCode: 0, untested: false });
    const installed = readFileSync(join(bin, 'installed'), 'utf8');
    expect(installed).toContain('libvulkan1 mesa-vulkan-drivers');
  });
  test.each([
    { why: "can't be installed", user: 0 },
    { why: 'may not be installed', user: 1000 },
  ])('goes on, and says so, where they $why', async ({ user }) => {
    const result = await run({ vulkan: user === 0 ? [2, 2] : [2, 0], user });
    expect(result).toEqual({ line: '97 passed, 0 failed', exitCode: 0, untested: true });
  });
  test('runs what README says, and nothing else', () => {
    const readme = readFileSync(resolve(import.meta.dirname, '../README.md'), 'utf8');
    for (const command of ['npm install && npm test', 'npm run test:vulkan']) {
      expect(readme).toContain(command);
    }
    const calls = readFileSync(script, 'utf8').match(/^.*\bnpm\b.*$/gm);
    const vulkan = ['npm run test:vulkan', 'npm run test:vulkan'];
    expect(calls?.map((call) => call.trim())).toEqual([
      '(npm install && npm test) 2>&1 | tee "$log"',
      ...vulkan,
    ]);
  });
});
