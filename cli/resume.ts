import type { Command } from 'commander';
import { ask, requestCommand } from './requests.ts';

export const resumeCommand = (program: Command): Command =>
  requestCommand(
    program,
    'resume',
    'go on with a run that is paused, was stopped, or failed, from its last checkpoint',
  ).action((run: string, options) => ask(run, 'resume', options));
