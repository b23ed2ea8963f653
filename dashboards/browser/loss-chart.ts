/** The curve of a run, live: raw faint, smoothed over it; what is left out is said. */
import {
  Chart,
  colour,
  faint,
  figure,
  tick,
  marksPlugin,
  selectionPlugin,
  useTheme,
  type ChartMark,
  type Selection,
} from './chart-base.ts';
import type { ChartOptions } from 'chart.js';
import type { CurveAnswer } from './curve-answer.ts';
import { showNotes, showTable } from './curve-notes.ts';
import { startSelecting } from './chart-selection.ts';
import { find, findAll, make, setAddress } from './dom.ts';
import { onProgress } from './live.ts';
import { onRefresh } from './refresh.ts';
import { onTheme } from './theme.ts';

/** Of the many lines of a logarithmic axis 1, 2 and 5 are enough, over many decades 1. */
const isRound = (value: number, decades: number): boolean =>
  (decades > 2 ? ['1'] : ['1', '2', '5']).includes(value.toExponential(6).replace(/\.?0*e.*/, ''));

const MIN_REFETCH_MS = 1_000;

let chart: Chart<'line'> | undefined;
let answer: CurveAnswer | undefined;
let selection: Selection | undefined;
let asked = 0;

const query = (): URLSearchParams => new URL(location.href).searchParams;
const isOn = (name: string): boolean => query().get(name) === '1';

const points = (part: { x: number[]; values: (number | null)[] }): { x: number; y: number }[] =>
  part.x.map((x, index) => ({ x, y: part.values[index] ?? NaN }));

const marks = (): ChartMark[] => {
  if (answer === undefined) return [];
  return [
    ...answer.marks.map(({ x, kind }) => ({ x, kind })),
    ...answer.nan.map(({ x }) => ({ x, kind: 'nan' })),
  ].sort((a, b) => a.x - b.x);
};

const draw = (data: CurveAnswer): void => {
  const box = find('#loss-chart');
  const canvas = box === undefined ? undefined : find<HTMLCanvasElement>('canvas', box);
  if (box === undefined || canvas === undefined) return;
  const title = find('[data-curve-title]')?.textContent ?? 'Curve';
  chart?.destroy();
  chart = undefined;
  box.classList.toggle('drawn', data.count > 0);
  if (data.count === 0) {
    // A scale would be made up.
    canvas.setAttribute('aria-label', `${title}: nothing to draw.`);
    return;
  }
  useTheme();
  const smoothed = data.smooth.x.length > 0;
  const first = data.raw.x[0] ?? 0;
  const last = data.raw.x.at(-1) ?? 1;
  const span = (data.high ?? 1) - (data.low ?? 0);
  const decades = Math.log10((data.high ?? 1) / (data.low ?? 1));
  const scaleRoom = isOn('log') || span === 0 ? 0 : span * 0.04;
  const datasets = [
    {
      label: 'raw',
      data: points(data.raw),
      borderColor: smoothed ? faint('quiet', 40) : colour('accent'),
      borderWidth: smoothed ? 1 : 1.5,
      pointRadius: data.count < 3 ? 3 : 0,
      pointHitRadius: 0,
      spanGaps: false,
    },
    {
      label: 'smoothed',
      data: points(data.smooth),
      borderColor: colour('accent'),
      borderWidth: 2,
      pointRadius: 0,
      spanGaps: false,
    },
  ];
  const options: ChartOptions<'line'> = {
    parsing: false,
    normalized: true,
    interaction: { mode: 'nearest', axis: 'x', intersect: false },
    plugins: {
      tooltip: {
        displayColors: false,
        callbacks: {
          title: (items) =>
            `${data.axis} ${Number((items[0]?.parsed.x ?? 0).toPrecision(6)).toLocaleString('en-GB')}`,
          label: (item) => `${item.dataset.label ?? ''} ${figure(item.parsed.y)}`,
        },
      },
    },
    scales: {
      x: {
        type: 'linear',
        min: first,
        max: last === first ? first + 1 : last,
        title: { display: true, text: data.axis },
        grid: { display: false },
        ticks: { maxRotation: 0, autoSkipPadding: 16, includeBounds: false },
      },
      y: {
        type: isOn('log') ? 'logarithmic' : 'linear',
        afterBuildTicks: (scale) => {
          if (isOn('log')) scale.ticks = scale.ticks.filter(({ value }) => isRound(value, decades));
        },
        ...(data.low === null || data.high === null
          ? {}
          : { min: data.low - scaleRoom, max: data.high + scaleRoom || 1 }),
        grid: { color: colour('line') },
        ticks: {
          maxTicksLimit: 6,
          includeBounds: false,
          callback: (value) => tick(Number(value)),
        },
      },
    },
  };
  chart = new Chart(canvas, {
    type: 'line',
    data: { datasets },
    options,
    plugins: [marksPlugin(marks), selectionPlugin(() => selection)],
  });
  canvas.setAttribute(
    'aria-label',
    `${title}: ${data.count} points up to step ${data.lastStep ?? 0}, from ${figure(data.low)} to ${figure(data.high)}. Its data table follows.`,
  );
};

const fetchCurve = async (): Promise<void> => {
  const box = find('#loss-chart');
  if (box === undefined) return;
  asked += 1;
  const mine = asked;
  const parameters = query();
  parameters.set('buckets', String(Math.max(100, Math.round(box.clientWidth))));
  try {
    const response = await fetch(`/runs/${box.dataset['run']}/curve?${parameters}`);
    if (!response.ok) throw new Error(`The dashboard answered ${response.status}.`);
    const data = (await response.json()) as CurveAnswer;
    if (mine !== asked) return;
    answer = data;
    draw(data);
    showNotes(data, parameters, (changes) => void change(changes));
    showTable(data);
    const whole = find<HTMLButtonElement>('#whole-run');
    if (whole !== undefined) whole.disabled = !parameters.has('from') && !parameters.has('to');
  } catch (error) {
    if (mine !== asked) return;
    const notes = find('#loss-notes');
    const again = make('button', {
      className: 'button small',
      text: 'Try again',
      attributes: { type: 'button' },
    });
    again.addEventListener('click', () => void fetchCurve());
    const why = error instanceof TypeError ? 'The dashboard does not answer.' : String(error);
    notes?.replaceChildren(
      make('span', {
        className: 'bad',
        text: `The curve could not be read again. ${why} What is drawn may be old.`,
      }),
      again,
    );
  }
};

const change = (changes: Record<string, string | undefined>): Promise<void> => {
  setAddress(changes);
  return fetchCurve();
};

export const startLossChart = (): void => {
  const form = find<HTMLFormElement>('#loss-choices');
  const canvas = find<HTMLCanvasElement>('#loss-chart canvas');
  if (form === undefined || canvas === undefined) return;
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('change', () => {
    const chosen = new FormData(form);
    const title = find('[data-curve-title]');
    const option = findAll<HTMLOptionElement>('select[name=curve] option', form).find(
      ({ selected }) => selected,
    );
    if (title !== undefined && option !== undefined)
      title.textContent = option.textContent?.trim() ?? '';
    void change({
      curve: String(chosen.get('curve')),
      smooth: String(chosen.get('smooth')),
      x: String(chosen.get('x')),
      log: chosen.has('log') ? '1' : undefined,
    });
  });
  find('#whole-run')?.addEventListener(
    'click',
    () => void change({ from: undefined, to: undefined }),
  );
  find('#last-epoch')?.addEventListener('click', () => {
    const last = answer?.lastStep ?? 0;
    const length = answer?.stepsPerEpoch ?? last;
    void change({ from: String(Math.max(0, last - length + 1)), to: undefined });
  });
  find('#loss-data')?.addEventListener('toggle', () => {
    if (answer !== undefined) showTable(answer);
  });
  startSelecting(canvas, {
    chart: () => chart,
    answer: () => answer,
    select: (part) => {
      selection = part;
      chart?.draw();
    },
    choose: (from, to) => void change({ from, to }),
  });
  onTheme(() => {
    if (answer !== undefined) draw(answer);
  });
  let fetched = Date.now();
  let later: ReturnType<typeof setTimeout> | undefined;
  const fetchSoon = (): void => {
    if (later !== undefined || selection !== undefined) return;
    later = setTimeout(
      () => {
        later = undefined;
        fetched = Date.now();
        void fetchCurve();
      },
      Math.max(0, fetched + MIN_REFETCH_MS - Date.now()),
    );
  };
  onProgress(({ step }) => {
    if (step !== answer?.lastStep && !query().has('to')) fetchSoon();
  });
  onRefresh((changed) => {
    if (changed.has('events')) fetchSoon();
  });
  void fetchCurve();
};
