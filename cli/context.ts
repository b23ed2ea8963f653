/** What commands share: their options, and the record that they open and close. */
import { access, constants, mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Db, openRecord } from '../db/connection.ts';
import { homePaths, tillerHome } from '../db/home.ts';
import { migrate } from '../db/migrate.ts';
import { TillerError } from '../recipes/errors.ts';
import { type ParsedRecipe, parseRecipe } from '../recipes/parse.ts';

export interface CommonOptions {
  home?: string;
}

export interface Context {
  db: Db;
  home: string;
  env: NodeJS.ProcessEnv;
}

export const commonOptions = (command: Command): Command =>
  command
    .option(
      '--home <folder>',
      "where Tiller keeps its state (default: $TILLER_HOME, or the system's data folder)",
    )
    .option('--verbose', 'with an error, show its stack');

/** A command that reads: `--json` gives the same, stable, for programs. */
export const readingOptions = (command: Command): Command =>
  commonOptions(command).option('--json', 'print JSON');

export const environment = ({ home }: CommonOptions): NodeJS.ProcessEnv =>
  home === undefined ? process.env : { ...process.env, TILLER_HOME: resolve(home) };

/** Opens the record for a command, brought to this version's schema first, and closes it after. */
export async function withRecord<Result>(
  options: CommonOptions,
  use: (context: Context) => Result | Promise<Result>,
): Promise<Result> {
  const env = environment(options);
  const home = tillerHome(env);
  const { record } = homePaths(home);
  await makeHome(home);
  migrate(record);
  const db = openRecord(record);
  try {
    return await use({ db, home, env });
  } finally {
    db.close();
  }
}

export async function makeHome(home: string): Promise<void> {
  let what = 'made';
  try {
    await mkdir(home, { recursive: true });
    what = 'written';
    await access(home, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TillerError('HOME_UNWRITABLE', `The home ${home} cannot be ${what} (${code})`, {
      hint: 'Name another folder in TILLER_HOME or --home.',
      cause: error,
    });
  }
}

export async function readRecipe(path: string, set: readonly string[]): Promise<ParsedRecipe> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      { ENOENT: 'is not there', EISDIR: 'is a folder' }[code ?? ''] ?? `cannot be read (${code})`;
    throw new TillerError('RECIPE_NOT_FOUND', `The recipe ${path} ${reason}`, {
      hint: 'Examples are in recipes/examples.',
      cause: error,
    });
  }
  return parseRecipe(text, { folder: resolve(dirname(path)), set, file: basename(path) });
}
