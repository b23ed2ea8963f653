import { execa, ExecaError } from 'execa';

/** What a Temporal binary says of itself. The server decides how a database file looks inside. */
export interface EngineVersion {
  cli: string;
  server: string;
}

/** The version that is fetched or built where there is none: the newest that `go install` can make. */
export const PINNED: EngineVersion = { cli: '1.5.1', server: '1.29.1' };

/** Temporal Updates with validators are on by default since this server. */
const OLDEST_SERVER = '1.25';

/** A binary that can't be used, and why, as the end of a sentence: `… does not start`. */
export class UnusableEngine extends Error {
  override readonly name = 'UnusableEngine';
}

/** Runs `temporal --version`. Errors: UnusableEngine. */
export async function readVersion(
  binary: string,
  { env = process.env, signal }: { env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<EngineVersion> {
  const said = await ask(binary, env, signal);
  const match = /^temporal version (\S+) \(Server (\d+\.\d+\.\d+[^,)]*)/m.exec(said);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new UnusableEngine(`${binary} is not the temporal command line`);
  }
  const version = { cli: match[1], server: match[2] };
  if (compareMinor(version.server, OLDEST_SERVER) < 0) {
    throw new UnusableEngine(
      `${binary} holds server ${version.server}, older than ${OLDEST_SERVER}`,
    );
  }
  return version;
}

async function ask(binary: string, env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<string> {
  try {
    const { stdout } = await execa(binary, ['--version'], {
      env,
      extendEnv: false,
      stdin: 'ignore',
      timeout: 10_000,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    return stdout;
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error;
    throw new UnusableEngine(`${binary} does not start: ${error.originalMessage ?? error.message}`);
  }
}

/** The schema of a database file differs between minor versions of the server, never within one. */
export const sameSchema = (a: string, b: string): boolean => compareMinor(a, b) === 0;

function compareMinor(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}
