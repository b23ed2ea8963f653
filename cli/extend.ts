import type { Command } from 'commander';
import { findRun } from '../db/runs.ts';
import { parsePositive } from './address.ts';
import { withRecord } from './context.ts';
import { print } from './output.ts';
import { type AskOptions, request, requestCommand } from './requests.ts';

export const extendCommand = (program: Command): Command =>
  requestCommand(program, 'extend', 'train so many epochs more; a run that is done goes on')
    .argument('<epochs>', 'how many more', parsePositive)
    .action(async (run: string, more: number, options: AskOptions) => {
      await request(run, 'extend', { ...options, epochs: more });
      const { name, state, epochs } = await withRecord(options, ({ db }) => findRun(db, run));
      const rest = state === 'stopped' || state === 'failed';
      const hint = rest ? `; \`tiller resume ${name}\` goes on` : '';
      print(`${name}: ${state}, ends after epoch ${epochs}${hint}`);
    });
