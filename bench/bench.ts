/** `npm run bench -- NAME [arguments]`: runs bench/NAME.ts, prints a table and a JSON line a result. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lineOf, tableOf, type Run } from './tools/result.ts';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort();

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  const said = name === undefined ? 'Which benchmark?' : `There is no benchmark ${name}.`;
  console.error(`${said} npm run bench -- NAME, where NAME is one of: ${names.join(', ')}`);
  process.exit(2);
}
const { run } = (await import(join(import.meta.dirname, `${name}.ts`))) as { run: Run };
const results = await run(args);
for (const result of results) console.log(`${tableOf(result)}\n`);
for (const result of results) console.log(lineOf(result));
