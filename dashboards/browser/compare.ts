/** The compare page: the state of the view, its address, its keys. */
import { announce, find, findAll, onPhone, problem, setAddress } from './dom.ts';
import { startBinsChart } from './bins-chart.ts';
import { addKeys } from './keys.ts';
import { onRefresh, visit } from './refresh.ts';
import { createStage } from './stage.ts';
import { modes, nameOf, type Mode, type SideName } from './stage-state.ts';
import { readData, readState, writeState } from './compare-view.ts';
import { actualZoom, wholePicture } from './viewport.ts';

export const startCompare = (): void => {
  const root = find('#stage');
  const tools = find('#mode-tools');
  const first = readData();
  if (root === undefined || tools === undefined || first === undefined) return;
  let data = first;
  const state = readState(data);
  let writing: ReturnType<typeof setTimeout> | undefined;

  const showZoom = (): void => {
    const level = find('#zoom-level');
    if (level !== undefined) {
      level.textContent =
        state.views.a.zoom === 1 ? 'fit' : `fit × ${state.views.a.zoom.toPrecision(2)}`;
    }
  };
  const changed = (): void => {
    showZoom();
    // Browsers refuse an address that changes with every move of a pointer.
    clearTimeout(writing);
    writing = setTimeout(() => writeState(state), 150);
  };
  const stage = createStage(root, tools, state, changed);

  const showButtons = (): void => {
    for (const button of findAll('button[data-mode]')) {
      button.setAttribute('aria-pressed', String(button.dataset['mode'] === state.mode));
    }
    find('#baseline')?.setAttribute('aria-pressed', String(state.baseline));
    find('#unlink')?.setAttribute('aria-pressed', String(!state.linked));
    const prompt = find<HTMLSelectElement>('#prompt');
    if (prompt !== undefined) prompt.value = String(state.shown + 1);
    showZoom();
  };
  const render = (): void => {
    stage.render();
    showButtons();
  };

  const go = (changes: Record<string, string>): void => {
    clearTimeout(writing);
    writeState(state);
    const url = setAddress(changes, 'push');
    visit(url.href).catch(() =>
      problem('The dashboard does not answer. What is shown is still the pair before.'),
    );
  };

  const setMode = (mode: Mode): void => {
    state.mode = mode;
    state.held = false;
    render();
    changed();
  };
  const setPrompt = (index: number): void => {
    const count = state.pairs.length;
    if (count === 0) return;
    state.shown = (index + count) % count;
    render();
    // The words about the pair come from the server.
    go({ prompt: String(state.shown + 1) });
  };
  stage.openPair = (index) => {
    state.mode = onPhone() ? 'flicker' : 'side';
    setPrompt(index);
  };
  const stepEpoch = (side: SideName, by: number): void => {
    const { run, epoch } = data[side];
    const epochs = data.epochs[run] ?? [];
    const next = epochs[epochs.indexOf(epoch) + by];
    if (next === undefined) {
      announce(
        by > 0
          ? `${side.toUpperCase()} is at the newest epoch`
          : `${side.toUpperCase()} is at the first epoch`,
      );
      return;
    }
    // The record of this moment, so that a second press goes on from here before the answer is in.
    data = { ...data, [side]: { ...data[side], epoch: next } };
    go({ [side]: `${run}@${next}` });
  };
  const spec = (side: SideName): string => `${data[side].run}@${data[side].epoch}`;
  const swap = (): void => {
    const [a, b] = [spec('b'), spec('a')];
    go({ a, b });
  };
  const zoomBy = (factor: number): void => {
    for (const view of Object.values(state.views)) view.zoom *= factor;
    stage.place();
    changed();
  };
  const fit = (): void => {
    for (const view of Object.values(state.views)) Object.assign(view, wholePicture());
    stage.place();
    changed();
  };
  const actual = (): void => {
    const frame = find('.view');
    const pair = state.pairs[state.shown];
    const picture = pair?.a ?? pair?.b;
    if (frame === undefined || picture === undefined || picture === null) return;
    const zoom = actualZoom({ width: frame.clientWidth, height: frame.clientHeight }, picture);
    for (const view of Object.values(state.views)) view.zoom = zoom;
    stage.place();
    changed();
  };
  const setBaseline = (): void => {
    state.baseline = !state.baseline;
    render();
    announce(`A is ${nameOf(state, 'a')}`);
    changed();
  };
  const setLinked = (): void => {
    state.linked = !state.linked;
    if (state.linked) Object.assign(state.views.b, state.views.a);
    else Object.assign(state.views.b, { ...state.views.a });
    render();
    changed();
  };
  const hold = (held: boolean): void => {
    if (state.held === held || state.mode === 'grid' || state.mode === 'difference') return;
    state.held = held;
    stage.render();
  };

  const press: Record<string, () => void> = {
    'zoom-in': () => zoomBy(1.5),
    'zoom-out': () => zoomBy(1 / 1.5),
    'zoom-fit': fit,
    'zoom-actual': actual,
    swap,
    baseline: setBaseline,
    unlink: setLinked,
    'prompt-before': () => setPrompt(state.shown - 1),
    'prompt-after': () => setPrompt(state.shown + 1),
  };
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    if (button === null) return;
    const mode = modes.find((each) => each === button.dataset['mode']);
    if (mode !== undefined) setMode(mode);
    press[button.id]?.();
  });
  document.addEventListener('change', (event) => {
    if (!(event.target instanceof HTMLSelectElement)) return;
    const { name, value } = event.target;
    if (name === 'prompt') setPrompt(Number(value) - 1);
    if (name === 'a' || name === 'b') go({ [name]: value });
  });
  find('#compare-form')?.addEventListener('submit', (event) => event.preventDefault());

  addKeys([
    ...modes.map((mode, index) => ({
      key: String(index + 1),
      does:
        ['Side by side', 'Slider', 'Flicker', 'Difference', 'Grid of all prompts'][index] ?? mode,
      press: () => setMode(mode),
    })),
    { key: 'ArrowLeft', shown: '← →', does: 'Prompt', press: () => setPrompt(state.shown - 1) },
    { key: 'ArrowRight', press: () => setPrompt(state.shown + 1) },
    {
      key: 'ArrowUp',
      shift: false,
      shown: '↑ ↓',
      does: "B's epoch",
      press: () => stepEpoch('b', 1),
    },
    { key: 'ArrowDown', shift: false, press: () => stepEpoch('b', -1) },
    {
      key: 'ArrowUp',
      shift: true,
      shown: 'Shift ↑ ↓',
      does: "A's epoch",
      press: () => stepEpoch('a', 1),
    },
    { key: 'ArrowDown', shift: true, press: () => stepEpoch('a', -1) },
    { key: 's', does: 'Swap A and B', press: swap },
    {
      key: ' ',
      shown: 'Space',
      does: 'Hold for the other picture',
      press: () => hold(true),
      release: () => hold(false),
    },
    { key: 'z', does: '100 %: a pixel is a pixel', press: actual },
    { key: '0', does: 'Fit', press: fit },
    { key: '+', shown: '+ −', does: 'Zoom', press: () => zoomBy(1.5) },
    { key: '=', press: () => zoomBy(1.5) },
    { key: '-', press: () => zoomBy(1 / 1.5) },
    { key: 'l', does: 'Unlink zoom and pan of the two sides', press: setLinked },
    { key: 'b', does: 'Epoch 0 in the place of A', press: setBaseline },
  ]);

  const takeData = (): void => {
    const fresh = readData();
    if (fresh === undefined) return;
    data = fresh;
    state.pairs = fresh.pairs;
    state.names = fresh.names;
    state.shown = Math.min(state.shown, Math.max(0, fresh.pairs.length - 1));
  };
  onRefresh((regions) => {
    if (regions.has('stage-data')) {
      takeData();
      render();
    } else if (regions.has('prompt-bar')) {
      showButtons();
    }
    if (regions.has('facts')) startBinsChart();
  });
  const goBack = async (): Promise<void> => {
    try {
      await visit(location.href);
    } catch {
      problem('The dashboard does not answer. What is shown is still the pair before.');
      return;
    }
    const fresh = readData();
    if (fresh === undefined) return;
    Object.assign(state, readState(fresh));
    render();
  };
  addEventListener('popstate', () => void goBack());
  render();
  // A task of its own, as the charts of a run.
  setTimeout(startBinsChart);
};
