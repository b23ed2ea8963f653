import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { bin } from './run-tiller.ts';

const root = mkdtempSync(join(tmpdir(), 'tiller-bin-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A `node` that says it is of some version, and does nothing. */
function fakeNode(version: string): string {
  const folder = join(root, version);
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'node'),
    `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo fake\n`,
  );
  chmodSync(join(folder, 'node'), 0o755);
  return folder;
}

const call = (file: string, path: string) =>
  execa(file, ['--version'], { env: { PATH: `${path}:/usr/bin:/bin` }, reject: false });

describe('bin/tiller', () => {
  test.each(['v20.20.2', 'v22.17.1', 'v23.5.0', 'v18.0.0'])(
    'with Node %s on PATH runs the one that npm install brought',
    async (version) => {
      const { stdout, exitCode } = await call(bin, fakeNode(version));
      expect(stdout).toMatch(/^\d+\.\d+\.\d+$/);
      expect(exitCode).toBe(0);
    },
  );
  test.each(['v22.18.0', 'v24.0.0', 'v100.0.0'])(
    'with Node %s on PATH uses that',
    async (version) => {
      expect((await call(bin, fakeNode(version))).stdout).toBe('fake');
    },
  );
  test('through symbolic links, absolute and relative', async () => {
    const links = join(root, 'links');
    mkdirSync(links);
    symlinkSync(bin, join(links, 'absolute'));
    symlinkSync('absolute', join(links, 'relative'));
    const { stdout } = await call(join(links, 'relative'), dirname(process.execPath));
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/);
  });
  test('without any Node that will do says so', async () => {
    const copy = join(root, 'clone/bin/tiller');
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(bin, copy);
    const { stderr, exitCode } = await call(copy, fakeNode('v16.0.0'));
    expect(stderr).toContain('Run `npm install`');
    expect(stderr.split('\n')).toHaveLength(1);
    expect(exitCode).toBe(2);
  });
});
