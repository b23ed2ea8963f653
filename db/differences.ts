/** Work that was done again and came out otherwise: a promise broken, said once a launch and kind. */
import { prepared, type Db } from './connection.ts';
import { appendEvent } from './events.ts';

export type DifferenceCode =
  'STEP_DIFFERS' | 'VALIDATION_DIFFERS' | 'WEIGHTS_DIFFER' | 'SAMPLE_DIFFERS';

export interface Difference {
  code: DifferenceCode;
  /** "loss", "weights of the checkpoint" */
  what: string;
  step: number;
  recorded: number | string;
  redone: number | string;
}

export function noteDifference(
  db: Db,
  launch: { id: number; run: string; epoch: number },
  { code, what, step, recorded, redone }: Difference,
): void {
  const said = prepared<[string, string, number], unknown>(
    db,
    `SELECT 1 FROM event WHERE run = ? AND kind = 'difference' AND code = ?
       AND json_extract(data, '$.launch') = ? LIMIT 1`,
  ).get(launch.run, code, launch.id);
  if (said !== undefined) return;
  appendEvent(db, {
    run: launch.run,
    kind: 'difference',
    code,
    epoch: launch.epoch,
    step,
    message: `step ${step} was done again and its ${what} came out otherwise: ${recorded} in the record, ${redone} now`,
    data: { launch: launch.id, what, recorded: String(recorded), redone: String(redone) },
  });
}
