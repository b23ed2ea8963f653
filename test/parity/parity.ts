/**
 * `npm run parity`: every native program that compares with what PyTorch gave (test/golden/), a row a
 * golden. With --all each comparison too, the worst first.
 */
import { readOptions } from '../../bench/tools/options.ts';
import { buildNative } from '../../native/build.ts';
import { runParity } from './command.ts';
import { programs } from './programs.ts';

const options = readOptions('npm run parity --', process.argv.slice(2), { all: false });
const build = async (name: string): Promise<string> =>
  (await buildNative(name, { log: console.error })).path;
process.exitCode = await runParity(programs, build, options);
