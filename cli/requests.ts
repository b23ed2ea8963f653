/** pause, resume, stop and the like: asked of the engine, answered at once. */
import { type Command, Option } from 'commander';
import type { Verb } from '../activities/run/requests.ts';
import { type Asked, connectEngine, sendRequest } from '../engine/client.ts';
import { findRun } from '../db/runs.ts';
import { type CommonOptions, commonOptions, withRecord } from './context.ts';
import { print } from './output.ts';

export const afterOption = (): Option =>
  new Option('--after <when>', 'after the step under way, or after the epoch and its evaluation')
    .choices(['step', 'epoch'])
    .default('step');

export const requestCommand = (program: Command, verb: Verb, description: string): Command =>
  commonOptions(program.command(verb))
    .argument('<run>', 'a run by name or id')
    .description(description);

/** What a request says beside its verb. */
type Words = Omit<Asked, 'run' | 'verb'>;

export interface AskOptions extends CommonOptions, Words {}

/** Asks the engine, by name or id. */
export const request = (
  name: string,
  verb: Verb,
  { after, epochs, edit, sample, ...options }: AskOptions,
) =>
  withRecord(options, async ({ db, env }) => {
    const { id: run } = findRun(db, name);
    const client = await connectEngine(db, env);
    const words = Object.entries({ after, epochs, edit, sample }).filter(
      ([, word]) => word !== undefined,
    );
    try {
      await sendRequest(client, db, { run, verb, ...(Object.fromEntries(words) as Words) });
    } finally {
      await client.connection.close();
    }
  });

/** Asks, and says how the run is then. */
export async function ask(name: string, verb: Verb, options: AskOptions): Promise<void> {
  await request(name, verb, options);
  const run = await withRecord(options, ({ db }) => findRun(db, name));
  print(`${run.name}: ${run.state}${run.state_reason === null ? '' : ` (${run.state_reason})`}`);
}
