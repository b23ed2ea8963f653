/** What the routes are given by the composition root. */
import type { Context } from 'hono';
import type { Db } from '../../db/connection.ts';
import type { PromptEdit } from '../../db/edit-prompts.ts';
import type { ShownRequest } from '../../db/page-details.ts';
import type { WantedSample } from '../../db/wanted.ts';
import type { Curves } from '../curves.ts';
import type { Frame } from '../pages/layout.ts';
import type { Verb } from '../pages/controls.ts';
import type { Bell } from '../bell.ts';

export interface Ask {
  readonly run: string;
  readonly verb: Verb;
  /** pause and stop */
  readonly after?: 'now' | 'step' | 'epoch';
  /** extend: how many more */
  readonly epochs?: number;
  /** prompts: what comes and what goes */
  readonly edit?: PromptEdit;
  /** make */
  readonly sample?: WantedSample;
}

/** Asks something of a run through the engine; resolves when it was taken. Throws a TillerError. */
export type SendRequest = (ask: Ask) => Promise<Pick<ShownRequest, 'id'>>;

export interface RouteDeps {
  readonly db: Db;
  readonly artifacts: string;
  readonly runs: string;
  readonly curves: Curves;
  readonly bell: Bell;
  readonly sendRequest: SendRequest;
  readonly now: () => number;
  readonly frame: (context: Context) => Frame;
}
