import { describe, expect, test } from '@jest/globals';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { parseEvent, Spool } from '../../../activities/training/spool.ts';
import { trainerEvent } from '../../../native/protocol.ts';

const odd = fc.oneof(
  fc.double(),
  fc.integer({ min: -2, max: 5 }),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', 'much', null, true, [], {}),
);
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

describe('an event', () => {
  test('is what the protocol says it is, whether or not it takes the short way', () => {
    const line = fc.record({
      event: fc.constantFrom('step', 'step', 'validation', 'nothing'),
      step: fc.oneof(fc.nat(), odd),
      epoch: fc.oneof(fc.nat(), odd),
      loss: fc.oneof(fc.double({ noNaN: true }), odd),
      lr: maybe(odd),
      grad_norm: maybe(odd),
      seen: maybe(odd),
      ms: maybe(odd),
      items_hash: maybe(fc.oneof(fc.string(), odd)),
    });
    fc.assert(
      fc.property(line, (value) => {
        const text = JSON.stringify(value);
        const { data } = trainerEvent.safeParse(JSON.parse(text));
        expect(parseEvent(text)).toEqual(data);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(['', 'no JSON', '[]', 'null', '{"event":"from the future"}'])('is not %j', (text) => {
    expect(parseEvent(text)).toBeUndefined();
  });
});

describe('a spool', () => {
  const withSpool = async (text: string, use: (file: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'tiller-spool-'));
    const file = join(folder, 'spool.jsonl');
    await writeFile(file, text);
    try {
      await use(file);
    } finally {
      await rm(folder, { recursive: true });
    }
  };

  test('gives whole lines only, each with the byte behind it; a line under way waits', () =>
    withSpool('{"event":"done"}\n\n{"event":"done","st', async (file) => {
      const spool = await Spool.open(file, 0);
      expect((await spool.read()).map(({ end }) => end)).toEqual([17]);
      expect(await spool.read()).toEqual([]);
      await appendFile(file, 'ep":7}\n');
      const [line] = await spool.read();
      expect(line).toMatchObject({ event: { event: 'done', step: 7 }, end: 44 });
      await spool.close();
    }));

  test('goes on from an offset', () =>
    withSpool('é is no event\n{"event":"done"}\n', async (file) => {
      const spool = await Spool.open(file, Buffer.byteLength('é is no event\n'));
      expect((await spool.read()).map(({ event }) => event?.event)).toEqual(['done']);
      await spool.close();
    }));

  test('steps over a line that is longer than any event', () =>
    withSpool(`${'x'.repeat(3 << 20)}\n{"event":"done"}\n`, async (file) => {
      const spool = await Spool.open(file, 0);
      const seen = [];
      for (let reads = 0; reads < 8; reads += 1) seen.push(...(await spool.read()));
      expect(seen.at(-1)?.event).toEqual({ event: 'done', reason: 'finished' });
      await spool.close();
    }));
});
