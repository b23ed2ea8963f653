import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createScreen, type Screen } from '../../cli/screen.ts';

let written: string;
const screenOn = (isTTY: boolean): Screen => {
  const stream = new PassThrough({ encoding: 'utf8' });
  stream.on('data', (text: string) => (written += text));
  return createScreen(Object.assign(stream, { isTTY }) as unknown as NodeJS.WriteStream);
};
const lines = () => written.split('\n').slice(0, -1);

beforeEach(() => {
  written = '';
  jest.useFakeTimers();
});
afterEach(() => void jest.useRealTimers());

describe('where nobody watches, a bar', () => {
  test('says its first at once, and then a line every 15 seconds', () => {
    const bar = screenOn(false).bar('training');
    bar.update(0.1, 'one');
    bar.update(0.2, 'two');
    jest.advanceTimersByTime(14_999);
    bar.update(0.3, 'three');
    jest.advanceTimersByTime(1);
    bar.update(0.456, 'four');
    bar.end('done');
    expect(lines()).toEqual(['training 10 % one', 'training 45 % four', 'done']);
  });

  test('says at once that it gets on, without a percentage before', () => {
    const bar = screenOn(false).bar('training');
    bar.update(undefined, 'queued');
    bar.update(undefined, 'preparing');
    bar.update(0, 'step 1');
    bar.update(0.1, 'step 2');
    expect(lines()).toEqual(['training queued', 'training 0 % step 1']);
  });
});

test('at a terminal, a bar has a percentage once it is known', () => {
  const screen = screenOn(true);
  const bar = screen.bar('trainer');
  bar.update(undefined, 'compiling, 3 s');
  jest.advanceTimersByTime(1_000);
  expect(written).toContain('compiling, 3 s');
  expect(written).not.toContain('%');
  bar.update(0.256, 'linking');
  jest.advanceTimersByTime(1_000);
  expect(written).toContain('25 % linking');
  screen.close();
});
