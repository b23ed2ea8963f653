import type { Command } from 'commander';
import { type CommonOptions, environment, readingOptions } from './context.ts';
import { type Check, checks } from './doctor-checks.ts';
import { failureOf } from './errors.ts';
import { print, printJson } from './output.ts';

export const doctorCommand = (program: Command): Command =>
  readingOptions(program.command('doctor'))
    .description('look at all that Tiller needs: each line is ok, or says how to mend it')
    .action(async (options: CommonOptions & { json?: boolean }) => {
      const env = environment(options);
      const results: Result[] = [];
      for (const check of checks) {
        const result = await run(check, env);
        results.push(result);
        if (options.json !== true) print(lineOf(result));
      }
      const ok = results.every((result) => result.ok);
      if (options.json === true) printJson({ ok, checks: results });
      if (!ok) process.exitCode = 1;
    });

interface Result {
  name: string;
  ok: boolean;
  detail: string;
}

async function run({ name, look }: Check, env: NodeJS.ProcessEnv): Promise<Result> {
  try {
    return { name, ok: true, detail: await look(env) };
  } catch (error) {
    return { name, ok: false, detail: failureOf(error)?.line ?? String(error) };
  }
}

const lineOf = ({ name, ok, detail }: Result): string =>
  `${ok ? 'ok   ' : 'mend '} ${name.padEnd(10)} ${detail}`;
