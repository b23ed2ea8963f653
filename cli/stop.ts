import type { Command } from 'commander';
import { afterOption, ask, requestCommand } from './requests.ts';

export const stopCommand = (program: Command): Command =>
  requestCommand(program, 'stop', 'stop a run at a checkpoint; `resume` goes on from there')
    .addOption(afterOption())
    .action((run: string, options) => ask(run, 'stop', options));
