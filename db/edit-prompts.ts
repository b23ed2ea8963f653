/** What a run is sampled with from the next evaluation on, for a request: once, however often it is carried out. */
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { activePrompts, addPrompt, dropPrompt, type NewPrompt } from './prompts.ts';
import { finishRequest, getRequest } from './requests.ts';
import { getRun } from './runs.ts';

/** A change is both: the new one comes in the place of the old one. */
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
  const twin = active.find(
    (prompt) =>
      prompt.text === add.text &&
      prompt.negative === add.negative &&
      prompt.seed === add.seed &&
      prompt.width === (add.width ?? null) &&
      prompt.height === (add.height ?? null),
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
    if (drop !== undefined) {
      const old = activePrompts(db, run).find(({ position }) => position === drop);
      dropPrompt(db, run, drop);
      words.push(`no longer sampled: ${quoted(old?.text)}`);
    }
    if (add !== undefined) {
      addPrompt(db, run, add, Date.now());
      words.push(`sampled from now on: ${quoted(add.text)}`);
    }
    appendEvent(db, { run, kind: 'prompts', epoch, step, message: words.join('; ') });
    finishRequest(db, request);
  });
}

const quoted = (text = ''): string => `“${text.length > 80 ? `${text.slice(0, 80)}…` : text}”`;
