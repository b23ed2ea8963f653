import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';

const workflowsPath = join(import.meta.dirname, '..', '..', 'workflows', 'index.ts');
const folder = join(import.meta.dirname, 'histories');
const histories = readdirSync(folder);

const replay = (history: unknown): Promise<void> =>
  Worker.runReplayHistory({ workflowsPath, replayName: 'history' }, history);

const load = (file: string): { events: Record<string, unknown>[] } =>
  JSON.parse(readFileSync(join(folder, file), 'utf8')) as { events: Record<string, unknown>[] };

test('there is a history to replay', () => {
  expect(histories).not.toEqual([]);
});

test.each(histories)('the workflow still does what it did in %s', async (file) => {
  await replay(load(file));
});

test('a history of another order is refused: the check can fail', async () => {
  const text = JSON.stringify(load(histories[0]!)).replace('"trainEpoch"', '"evaluateEpoch"');
  await expect(replay(JSON.parse(text))).rejects.toThrow(DeterminismViolationError);
});
