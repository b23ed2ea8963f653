import type { Command } from 'commander';
import { killTrainer } from '../activities/training/trainer-process.ts';
import { lostByForce } from '../dashboards/progress.ts';
import type { Db } from '../db/connection.ts';
import { openLaunches } from '../db/launches.ts';
import type { ListedRun } from '../db/pages.ts';
import { isAlive } from '../db/processes.ts';
import { withRecord } from './context.ts';
import { findListedRun } from './find.ts';
import { print } from './output.ts';
import { afterOption, ask, type AskOptions, requestCommand } from './requests.ts';
import { supervisorPid } from './running.ts';

interface StopOptions extends AskOptions {
  now?: boolean;
}

export const stopCommand = (program: Command): Command =>
  requestCommand(program, 'stop', 'stop a run at a checkpoint; `resume` goes on from there')
    .addOption(afterOption())
    .option('--now', 'end the trainer without a save, when it does not stop otherwise')
    .action(async (run: string, { now, ...options }: StopOptions) => {
      if (now !== true) return ask(run, 'stop', options);
      const ended = await withRecord(options, ({ db }) => {
        const listed = findListedRun(db, run);
        print(`${listed.name}: ${lostByForce(db, listed)}`);
        return supervisorPid(db) === undefined && endOrphans(db, listed);
      });
      if (!ended) return ask(run, 'stop', { ...options, after: 'now' });
    });

/** Trainers outlive `up`: without one, nobody else could end them. Returns whether there were any. */
function endOrphans(db: Db, { id, name }: ListedRun): boolean {
  const alive = openLaunches(db, id).filter(
    ({ pid, process_start: start }) => pid !== null && start !== null && isAlive(pid, start),
  );
  for (const { pid, process_start: start } of alive) {
    killTrainer(pid!, start!);
    print(`${name}: ended its trainer (process ${pid}), which had outlived \`tiller up\``);
  }
  if (alive.length > 0)
    print(
      `The next \`tiller up\` goes on with the run; to end it, call \`tiller stop ${name}\` then.`,
    );
  return alive.length > 0;
}
