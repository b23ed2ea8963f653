/** Runs a program of native/tests/ on Vulkan, and says how it went. */
import { execa } from 'execa';
import { type Check, parseChecks } from '../native/check-lines.ts';
import { argumentsOf, type GraphProgram } from '../native/graph-programs.ts';

export interface Outcome {
  name: string;
  checks: Check[];
  seconds: number;
  /** What the driver calls itself. */
  device: string;
  /** A sentence for each check that failed, and for a program that broke off. */
  complaints: string[];
  /** Why there is no Vulkan device at all. */
  noDevice?: string;
}

type Program = Omit<GraphProgram, 'what'> & { path: string };

const LIMIT_S = 400;

export async function runProgram(
  { path, atLeast, ...program }: Program,
  env: NodeJS.ProcessEnv,
): Promise<Outcome> {
  const start = performance.now();
  const options = { env, extendEnv: false, reject: false, timeout: LIMIT_S * 1000 } as const;
  const { stdout, stderr, exitCode, signal, timedOut } = await execa(
    path,
    argumentsOf('vulkan', program),
    options,
  );
  const outcome: Outcome = {
    name: [program.name, program.precision].filter(Boolean).join(' '),
    checks: parseChecks(stdout),
    seconds: (performance.now() - start) / 1000,
    device: /^device: (.*)$/m.exec(stderr)?.[1] ?? '',
    complaints: [],
  };
  const absent = /there is no device "vulkan".*/.exec(stderr)?.[0];
  if (absent !== undefined) return { ...outcome, noDevice: absent };
  for (const { check, error, limit, ok } of outcome.checks) {
    if (!ok) outcome.complaints.push(`${check}: error ${error}, the limit is ${limit}`);
  }
  if (timedOut) outcome.complaints.push(`stopped after ${LIMIT_S} s`);
  else if (signal !== undefined || (exitCode !== 0 && outcome.complaints.length === 0)) {
    const last = stderr.trim().split('\n').at(-1) ?? '';
    outcome.complaints.push(`broke off with ${signal ?? `exit code ${exitCode}`}: ${last}`);
  }
  if (outcome.checks.length < atLeast) {
    outcome.complaints.push(`made ${outcome.checks.length} checks, not ${atLeast}`);
  }
  return outcome;
}
