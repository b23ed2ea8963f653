/** pause, resume and stop: asked of the engine, answered at once. */
import { type Command, Option } from 'commander';
import { getRun } from '../db/runs.ts';
import type { After } from '../activities/run/requests.ts';
import { connectEngine, sendRequest } from '../engine/client.ts';
import { findRun } from '../db/runs.ts';
import { type CommonOptions, commonOptions, withRecord } from './context.ts';
import { print } from './output.ts';

type Verb = 'pause' | 'resume' | 'stop';

export const afterOption = (): Option =>
  new Option('--after <when>', 'after the step under way, or after the epoch and its evaluation')
    .choices(['step', 'epoch'])
    .default('step');

export const requestCommand = (program: Command, verb: Verb, description: string): Command =>
  commonOptions(program.command(verb))
    .argument('<run>', 'a run by name or id')
    .description(description);

export interface AskOptions extends CommonOptions {
  after?: After;
}

export const ask = (name: string, verb: Verb, options: AskOptions) =>
  withRecord(options, async ({ db, env }) => {
    const { id } = findRun(db, name);
    const client = await connectEngine(db, env);
    try {
      await sendRequest(client, db, { run: id, verb, after: options.after ?? 'step' });
    } finally {
      await client.connection.close();
    }
    const run = getRun(db, id);
    print(`${run.name}: ${run.state}${run.state_reason === null ? '' : ` (${run.state_reason})`}`);
  });
