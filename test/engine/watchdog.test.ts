import { describe, expect, test } from '@jest/globals';
import { goesSilent } from '../../engine/watchdog.ts';

const patience = { everyMs: 10, times: 3 };

/** Asks `answers` with the number of the question, for at most 20 questions. */
async function silentWithin20(answers: (question: number) => boolean): Promise<boolean> {
  const ended = new AbortController();
  let questions = 0;
  const ask = async (): Promise<boolean> => {
    questions += 1;
    if (questions === 20) ended.abort();
    return answers(questions);
  };
  return goesSilent(ask, patience, ended.signal);
}

/** This process stands still, as on a suspended laptop. */
const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('a process is silent', () => {
  test('when it left enough questions in a row unanswered', async () => {
    expect(await goesSilent(async () => false, patience, new AbortController().signal)).toBe(true);
  });

  test('not when it answers now and then', async () => {
    expect(await silentWithin20((question) => question % 3 === 0)).toBe(false);
  });

  test('not when whoever asks did not run either', async () => {
    const answers = (): boolean => {
      standStill(30);
      return false;
    };
    expect(await silentWithin20(answers)).toBe(false);
  });

  test('not when it has ended', async () => {
    expect(await goesSilent(async () => false, patience, AbortSignal.abort())).toBe(false);
  });
});
