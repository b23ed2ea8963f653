import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { runProgram } from './program.ts';
import { summary } from './table.ts';

const script = resolve(import.meta.dirname, 'vulkan.ts');
const folder = mkdtempSync(join(tmpdir(), 'tiller-vulkan-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fine = '{"check":"a","error":1e-6,"limit":0.001,"ok":true}';
const bad = '{"check":"b","error":0.5,"limit":0.001,"ok":false}';

/** The outcome of a program that runs these lines of sh. */
async function outcomeOf(lines: string, atLeast = 1) {
  const path = join(folder, 'program');
  writeFileSync(path, `#!/bin/sh\necho 'device: a driver' >&2\n${lines}\n`);
  chmodSync(path, 0o755);
  return runProgram({ name: 'program', path, atLeast }, process.env);
}

describe('npm run test:vulkan', () => {
  test('without a driver says what to install', async () => {
    const env = { VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' };
    const { stdout, exitCode } = await execa(process.execPath, [script], { env, reject: false });
    expect(stdout.split('\n').at(-1)).toMatch(
      /^There is no Vulkan device .*apt-get install -y libvulkan1 mesa-vulkan-drivers$/,
    );
    expect(exitCode).toBe(2);
  }, 300_000);

  test.each([
    { when: 'all is well', lines: `echo '${fine}'`, complaints: [] },
    {
      when: 'a check fails',
      lines: `echo '${bad}'; exit 1`,
      complaints: ['b: error 0.5, the limit is 0.001'],
    },
    {
      when: 'it crashes',
      lines: `echo '${fine}'; echo oh >&2; kill -ABRT $$`,
      complaints: ['broke off with SIGABRT: oh'],
    },
    {
      when: 'it checks too little',
      lines: `echo '${fine}'`,
      atLeast: 2,
      complaints: ['made 1 checks, not 2'],
    },
  ])('of a program, when $when', async ({ lines, atLeast, complaints }) => {
    const outcome = await outcomeOf(lines, atLeast);
    expect(outcome.complaints).toEqual(complaints);
    expect(summary([outcome])).toMatchObject({ failed: complaints.length, device: 'a driver' });
  });

  test('the worst check is the nearest to its limit, or beyond', async () => {
    const nothing = '{"check":"c","error":null,"limit":1,"ok":false}';
    const near = '{"check":"d","error":1e-5,"limit":1e-5,"ok":true}';
    for (const [lines, worst] of [
      [[fine, near], 'd'],
      [[fine, bad, near], 'b'],
      [[fine, nothing, bad], 'c'],
    ] as const) {
      const outcome = await outcomeOf(lines.map((line) => `echo '${line}'`).join('\n'));
      expect(summary([outcome]).worst).toMatchObject({ check: worst });
    }
  });
});
