import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../../engine/lock.ts';
import { rotate, tail } from '../../engine/logs.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'tiller-files-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('a log is kept below its limit while its writer holds it open', () => {
  const file = join(folder, 'a.log');
  const writer = openSync(file, 'a');
  writeSync(writer, 'first\n');
  rotate(file, 100);
  expect(readFileSync(file, 'utf8')).toBe('first\n');
  rotate(file, 5);
  writeSync(writer, 'second\n');
  closeSync(writer);
  expect(readFileSync(file, 'utf8')).toBe('second\n');
  expect(readFileSync(`${file}.1`, 'utf8')).toBe('first\n');
});

test('the tail of a log begins where it is told', () => {
  const file = join(folder, 'a.log');
  expect(tail(file)).toEqual([]);
  appendFileSync(file, 'before\none\n\ntwo\nthree\n');
  expect(tail(file, 'before\n'.length, 2)).toEqual(['two', 'three']);
  expect(tail(file, 'before\n'.length)).toEqual(['one', 'two', 'three']);
});

test('a lock is held by one at a time', async () => {
  const order: string[] = [];
  const hold = (name: string) => async () => {
    order.push(`${name} begins`);
    await sleep(50);
    order.push(`${name} ends`);
  };
  const file = join(folder, 'lock');
  await Promise.all([withLock(file, hold('a')), withLock(file, hold('b'))]);
  // Who is first is luck.
  const [first, second] = order[0] === 'a begins' ? ['a', 'b'] : ['b', 'a'];
  expect(order).toEqual([`${first} begins`, `${first} ends`, `${second} begins`, `${second} ends`]);
});

test('the lock of a killed process is free', async () => {
  const file = join(folder, 'lock');
  const lock = join(import.meta.dirname, '../../engine/lock.ts');
  const program = `import { withLock } from ${JSON.stringify(lock)};
    await withLock(${JSON.stringify(file)}, async () => {
      console.log('held');
      await new Promise((done) => setTimeout(done, 60_000));
    });`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program]);
  await new Promise((done) => holder.stdout.once('data', done));
  let waited = false;
  const taken = withLock(file, async () => 'mine', { onWait: () => (waited = true) });
  await sleep(50);
  holder.kill('SIGKILL');
  expect(await taken).toBe('mine');
  expect(waited).toBe(true);
});
