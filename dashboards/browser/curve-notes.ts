/** What a chart leaves out, in words, and its figures as a table. */
import { figure } from './chart-base.ts';
import type { CurveAnswer } from './curve-answer.ts';
import { find, make } from './dom.ts';

type Changes = Record<string, string | undefined>;

/** @param change takes changes of the address */
export const showNotes = (
  data: CurveAnswer,
  query: URLSearchParams,
  change: (changes: Changes) => void,
): void => {
  const isOn = (name: string): boolean => query.get(name) === '1';
  const inRange = (step: number): boolean =>
    step >= (data.firstStep ?? 0) && step <= (data.lastStep ?? 0);
  const notes = find('#loss-notes');
  if (notes === undefined) return;
  const parts: HTMLElement[] = [];
  const say = (text: string): void => void parts.push(make('span', { text }));
  const act = (text: string, changes: Changes): void => {
    const button = make('button', {
      className: 'button small',
      text,
      attributes: { type: 'button' },
    });
    button.addEventListener('click', () => change(changes));
    parts.push(button);
  };
  const points = `${data.clipped} ${data.clipped === 1 ? 'point' : 'points'} clipped`;
  if (data.count === 0) {
    const part = query.has('from') || query.has('to');
    say(
      part ? 'No step lies in this part.' : 'Nothing to draw yet: the first step begins the curve.',
    );
  }
  if (data.clipped > 0) {
    say(points);
    act('Show all points', { clip: '0' });
  } else if (query.get('clip') === '0') {
    say('All points are in view.');
    act('Clip far points', { clip: undefined });
  }
  if (data.nanCount > 0) {
    const steps = data.nan.slice(0, 5).map(({ step }) => step.toLocaleString('en-GB'));
    say(
      `${data.nanCount} ${data.nanCount === 1 ? 'value is' : 'values are'} NaN or infinite (step ${steps.join(', ')}${data.nanCount > 5 ? ', …' : ''}): the line breaks there.`,
    );
  }
  if (isOn('log') && data.notPositive > 0) {
    say(
      `${data.notPositive} ${data.notPositive === 1 ? 'value is' : 'values are'} 0 or less, which a logarithmic scale can't show: the line breaks there.`,
    );
  }
  const seen = data.marks.filter(({ step }) => inRange(step));
  for (const mark of seen.slice(0, 4)) {
    say(`${mark.kind} at step ${mark.step.toLocaleString('en-GB')}`);
  }
  if (seen.length > 4) say(`and ${seen.length - 4} more marks`);
  if (data.count > data.raw.x.length) {
    say(`${data.count.toLocaleString('en-GB')} points, extremes kept`);
  }
  notes.replaceChildren(...parts);
};

export const showTable = (data: CurveAnswer): void => {
  const details = find<HTMLDetailsElement>('#loss-data');
  const place = details === undefined ? undefined : find('.scroll', details);
  if (details === undefined || place === undefined || !details.open) return;
  const head = ['Steps', 'Points', 'Mean', 'Least', 'Greatest', 'Last', 'NaN'];
  const cells = data.table.map((row) => [
    row.from === row.to ? String(row.from) : `${row.from}–${row.to}`,
    String(row.count),
    figure(row.mean),
    figure(row.min),
    figure(row.max),
    figure(row.last),
    String(row.nan),
  ]);
  place.replaceChildren(
    make('table', { className: 'data-table' }, [
      make('caption', { text: `${find('[data-curve-title]')?.textContent ?? ''}, raw, by steps` }),
      make('thead', {}, [
        make(
          'tr',
          {},
          head.map((text) => make('th', { text, attributes: { scope: 'col' } })),
        ),
      ]),
      make(
        'tbody',
        {},
        cells.map(([first = '', ...rest]) =>
          make('tr', {}, [
            make('th', { text: first, attributes: { scope: 'row' } }),
            ...rest.map((text) => make('td', { text })),
          ]),
        ),
      ),
    ]),
  );
};
