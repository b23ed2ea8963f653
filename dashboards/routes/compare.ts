import { Hono } from 'hono';
import {
  evaluatedEpochs,
  listRunsForPage,
  runForPage,
  samplesOfEpoch,
  type ShownSample,
} from '../../db/pages.ts';
import { beginningOf } from '../../db/beginnings.ts';
import { extraOf } from '../../db/prompts.ts';
import { factsOf, type SideChoice } from '../comparison.ts';
import {
  comparePage,
  modes,
  nothingToCompare,
  type OfferedPair,
  type RunChoice,
  type Side,
} from '../pages/compare.ts';
import { layout, type Page } from '../pages/layout.ts';
import { problemPage } from '../pages/problem.ts';
import { offersOf } from '../offers.ts';
import { type Pair, pairSamples } from '../pairing.ts';
import { recipeOf } from '../progress.ts';
import type { RouteDeps } from './deps.ts';

/** "RUN@10": the run by id or name, and the epoch. */
const parseSide = (text: string): { run: string; epoch: number } | undefined => {
  const at = text.lastIndexOf('@');
  const epoch = text.slice(at + 1);
  return at > 0 && /^\d{1,9}$/.test(epoch)
    ? { run: text.slice(0, at), epoch: Number(epoch) }
    : undefined;
};

const page = (body: Page['body'], title: string): Page => ({
  title: `${title} – Tiller`,
  name: 'compare',
  body,
});

export const compareRoutes = (deps: RouteDeps): Hono => {
  const { db } = deps;
  const app = new Hono();

  const choices = (): RunChoice[] =>
    listRunsForPage(db)
      .map(({ id, name }) => ({ id, name, epochs: evaluatedEpochs(db, id) }))
      .filter(({ epochs }) => epochs.length > 0);

  /** The newest run's best epoch and its last; the last two where the best is the last. */
  const suggestion = (runs: readonly RunChoice[]): string | undefined => {
    const chosen = runs.find(({ epochs }) => epochs.length > 1);
    if (chosen === undefined) return undefined;
    const last = chosen.epochs.at(-1) ?? 0;
    const best = runForPage(db, chosen.id)?.bestEpoch ?? last;
    const first = best === last ? (chosen.epochs.at(-2) ?? 0) : best;
    return `/compare?a=${chosen.id}@${first}&b=${chosen.id}@${last}`;
  };

  /** For a missing side: its run has the prompt, and its epoch the weights. */
  const offersFor = (pair: Pair, a: SideChoice, b: SideChoice): OfferedPair['offers'] => {
    const offer = ({ run, epoch }: SideChoice, other: ShownSample | undefined) => {
      if (other === undefined) return undefined;
      const offers = offersOf(db, run);
      const size = recipeOf(run).data?.resolution;
      const prompt = offers.prompts.find(
        ({ text, negative, seed, width, height, extra }) =>
          text === other.text &&
          negative === other.negative &&
          seed === other.seed &&
          beginningOf({ extra }) === beginningOf(other) &&
          (extraOf({ extra }).picture !== undefined ||
            ((width ?? size ?? other.width) === other.width &&
              (height ?? size ?? other.height) === other.height)),
      );
      return prompt === undefined ? undefined : offers.of(epoch, prompt.position);
    };
    return {
      ...(pair.a === undefined ? { a: offer(a, pair.b) } : {}),
      ...(pair.b === undefined ? { b: offer(b, pair.a) } : {}),
    };
  };

  app.get('/compare', (context) => {
    const query = context.req.query();
    const runs = choices();
    if (query['a'] === undefined || query['b'] === undefined) {
      const address = suggestion(runs);
      return address === undefined
        ? context.html(layout(deps.frame(context), page(nothingToCompare(), 'Compare')))
        : context.redirect(address, 302);
    }
    const sides: SideChoice[] = [];
    for (const text of [query['a'], query['b']]) {
      const asked = parseSide(text);
      const run = asked === undefined ? undefined : runForPage(db, asked.run);
      const known = runs.find(({ id }) => id === run?.id);
      if (asked === undefined || run === undefined) {
        context.status(404);
        return context.html(
          layout(
            deps.frame(context),
            problemPage(
              'There is no such run',
              `“${text}” names no run and epoch, as in “emoji-13@10”.`,
            ),
          ),
        );
      }
      if (known === undefined || !known.epochs.includes(asked.epoch)) {
        context.status(404);
        const last = known?.epochs.at(-1);
        return context.html(
          layout(
            deps.frame(context),
            problemPage(
              `${run.name} has no epoch ${asked.epoch}`,
              last === undefined
                ? 'None of its epochs was evaluated yet.'
                : `Its epochs 0 to ${last} are evaluated.`,
            ),
          ),
        );
      }
      sides.push({ run, epoch: asked.epoch });
    }
    const [a, b] = sides;
    if (a === undefined || b === undefined) throw new Error('two sides were parsed');
    const sideOf = ({ run, epoch }: SideChoice): Side => ({ run: run.id, name: run.name, epoch });
    const pairs = pairSamples(
      samplesOfEpoch(db, a.run.id, a.epoch),
      samplesOfEpoch(db, b.run.id, b.epoch),
      samplesOfEpoch(db, b.run.id, 0),
    );
    const prompt = Number(query['prompt'] ?? 1);
    const shown =
      Number.isInteger(prompt) && prompt >= 1 && prompt <= pairs.length ? prompt - 1 : 0;
    return context.html(
      layout(
        deps.frame(context),
        page(
          comparePage({
            a: sideOf(a),
            b: sideOf(b),
            choices: runs,
            pairs: pairs.map((pair) => ({ ...pair, offers: offersFor(pair, a, b) })),
            shown,
            mode: modes.find((mode) => mode === query['mode']),
            facts: factsOf(db, a, b),
          }),
          `${a.run.name}@${a.epoch} and ${b.run.name}@${b.epoch}`,
        ),
      ),
    );
  });

  return app;
};
