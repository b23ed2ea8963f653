import type { Command } from 'commander';
import { afterOption, ask, requestCommand } from './requests.ts';

export const pauseCommand = (program: Command): Command =>
  requestCommand(program, 'pause', 'pause a run at a checkpoint; its device is free meanwhile')
    .addOption(afterOption())
    .action((run: string, options) => ask(run, 'pause', options));
