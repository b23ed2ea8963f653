import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { tiller } from './run-tiller.ts';

const root = mkdtempSync(join(tmpdir(), 'tiller-doctor-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Report {
  ok: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
}

const names =
  'node processor compiler git ggml devices engine ports home record engine.db disk'.split(' ');

describe('tiller doctor', () => {
  test('looks at everything, and all is well here', async () => {
    const { out, code } = await tiller(join(root, 'home'), ['doctor', '--json']);
    const report = JSON.parse(out) as Report;
    expect(report.checks.map(({ name }) => name)).toEqual(names);
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(code).toBe(0);
  }, 300_000);

  test('says how to mend what is missing: no compiler, no git, a home that is a file', async () => {
    // a PATH with a shell and Node alone
    const path = join(root, 'bare');
    mkdirSync(path);
    for (const tool of ['sh', 'dirname', 'readlink']) {
      const { stdout } = await execa('sh', ['-c', `command -v ${tool}`]);
      symlinkSync(stdout, join(path, tool));
    }
    symlinkSync(process.execPath, join(path, 'node'));
    writeFileSync(join(root, 'file'), '');
    chmodSync(join(root, 'file'), 0o644);
    const { out, code } = await tiller(join(root, 'file'), ['doctor'], { PATH: path, CXX: '' });
    expect(out).toMatch(/^mend +compiler .*\[NATIVE_NO_COMPILER\]$/m);
    expect(out).toMatch(/^mend +git .*\[NATIVE_NO_GIT\]$/m);
    expect(out).toMatch(/^mend +home .*\[HOME_UNWRITABLE\]$/m);
    expect(out).toMatch(/^ok +node /m);
    expect(out.split('\n')).toHaveLength(names.length);
    expect(code).toBe(1);
  }, 300_000);
});
