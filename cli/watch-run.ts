/** What `train` and `watch` do at the terminal until the run is at rest. */
import { plural } from '../dashboards/pages/format.ts';
import type { Db } from '../db/connection.ts';
import type { ListedRun } from '../db/pages.ts';
import { type ErrorCode, errorCatalogue, TillerError } from '../recipes/errors.ts';
import { followRun } from './follow-run.ts';
import { onInterrupt } from './interrupt.ts';
import { runUrl, sayIfDown } from './running.ts';
import { createScreen } from './screen.ts';

/** Errors: what the run failed with. */
export async function watchRun(db: Db, id: string): Promise<void> {
  const screen = createScreen(process.stderr);
  const url = runUrl(db, id);
  sayIfDown(db);
  if (url !== undefined) screen.say(`watch it at ${url}`);
  using interrupts = onInterrupt();
  const run = await followRun(db, id, screen, interrupts.signal);
  screen.close();
  if (!interrupts.signal.aborted) return screen.say(lastWords(run));
  const { name } = run;
  screen.say(
    `${name} goes on: \`tiller watch ${name}\` attaches again, \`tiller stop ${name}\` stops it.`,
  );
}

/** Errors: what the run failed with. */
export function lastWords(run: ListedRun): string {
  if (run.state === 'failed') {
    const code = isCode(run.code) ? run.code : 'INTERNAL';
    throw new TillerError(
      code,
      `Run ${run.name} failed: ${(run.reason ?? 'no reason is known').replace(` [${code}]`, '')}`,
      {
        hint: `\`tiller resume ${run.name}\` goes on from its last checkpoint.`,
      },
    );
  }
  if (run.state === 'paused')
    return `${run.name} is paused. \`tiller resume ${run.name}\` goes on.`;
  if (run.state === 'stopped')
    return `${run.name} is stopped. \`tiller resume ${run.name}\` goes on.`;
  return `${run.name} is done: ${plural(run.epochs, 'epoch')}, ${plural(run.step, 'step')}.`;
}

const isCode = (code: string | null): code is ErrorCode => code !== null && code in errorCatalogue;
