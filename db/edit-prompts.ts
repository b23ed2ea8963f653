/** What a run is sampled with from the next evaluation on, for a request: once, however often it is carried out. */
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { beginningOf } from './beginnings.ts';
import {
  activePrompts,
  addPrompt,
  dropPrompt,
  extraOf,
  type NewPrompt,
  type PromptRow,
  writeExtra,
} from './prompts.ts';
import { finishRequest, getRequest } from './requests.ts';
import { getRun } from './runs.ts';

/**
 * A change is both: the new one comes in the place of the old one, and what it doesn't say of steps,
 * guidance and pictures is the old one's.
 */
export interface PromptEdit {
  add?: NewPrompt | undefined;
  /** position of the one that goes */
  drop?: number | undefined;
}

/**
 * The reason why not, as the end of a sentence about the run.
 * @param most prompts that a run may have
 */
export function whyNotEdited(
  db: Db,
  run: string,
  { add, drop }: PromptEdit,
  most: number,
): string | undefined {
  const active = activePrompts(db, run);
  if (drop !== undefined && !active.some(({ position }) => position === drop)) {
    return `it is not sampled with a prompt ${drop}`;
  }
  if (add === undefined) return undefined;
  const left = active.filter(({ position }) => position !== drop);
  if (left.length >= most) return `it has ${most} prompts, which is the most`;
  const extra = writeExtra(changed(active, { add, drop }));
  const twin = active.find(
    (prompt) =>
      prompt.text === add.text &&
      prompt.negative === add.negative &&
      prompt.seed === add.seed &&
      prompt.width === (add.width ?? null) &&
      prompt.height === (add.height ?? null) &&
      beginningOf(prompt) === beginningOf({ extra }),
  );
  return twin === undefined ? undefined : 'it is sampled with this very prompt already';
}

export function editPrompts(db: Db, request: string): void {
  immediate(db, () => {
    const { run, arguments: given, done_at: done, refused } = getRequest(db, request);
    if (done !== null || refused !== null) return;
    const { add, drop } = JSON.parse(given) as PromptEdit;
    const { epoch, step } = getRun(db, run);
    const words: string[] = [];
    const before = activePrompts(db, run);
    if (drop !== undefined) {
      const old = before.find(({ position }) => position === drop);
      dropPrompt(db, run, drop);
      words.push(`no longer sampled: ${quoted(old?.text)}`);
    }
    if (add !== undefined) {
      addPrompt(db, run, changed(before, { add, drop }), Date.now());
      words.push(`sampled from now on: ${quoted(add.text)}`);
    }
    appendEvent(db, { run, kind: 'prompts', epoch, step, message: words.join('; ') });
    finishRequest(db, request);
  });
}

function changed(active: readonly PromptRow[], { add, drop }: PromptEdit & { add: NewPrompt }) {
  const old = active.find(({ position }) => position === drop);
  return { ...(old === undefined ? {} : extraOf(old)), ...add };
}

const quoted = (text = ''): string => `“${text.length > 80 ? `${text.slice(0, 80)}…` : text}”`;
