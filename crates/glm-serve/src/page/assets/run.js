// One training run: figures, curves, scores, checkpoints with their samples, configuration.
import { chart } from './chart.js';
import { configuration } from './configuration.js';
import { fill, h, uid } from './dom.js';
import { duration, number, quantity } from './format.js';
import { t } from './i18n.js';
import { progressBar, share, stateBadge } from './run-state.js';
import { sampleList, scoreTable } from './samples.js';
import { load, save } from './storage.js';

const SMOOTH_FROM = 20;
const SMOOTH_WEIGHT = 0.9;

function points(rows, name) {
  return (rows ?? []).map((row) => [row.step, row[name]]).filter(([step, value]) => Number.isFinite(step) && Number.isFinite(value));
}

/** An exponential mean that starts unbiased. */
export function smoothed(rows) {
  let mean = 0;
  let weight = 0;
  return rows.map(([step, value]) => {
    mean = SMOOTH_WEIGHT * mean + (1 - SMOOTH_WEIGHT) * value;
    weight = SMOOTH_WEIGHT * weight + (1 - SMOOTH_WEIGHT);
    return [step, mean / weight];
  });
}

function figure(name, value, note = null) {
  return h('div', { class: 'figure' }, h('dt', {}, name), h('dd', {}, value, note ? h('span', { class: 'figure-note' }, note) : null));
}

function figures(run) {
  const evaluations = points(run.eval, 'loss');
  const lowest = evaluations.reduce((best, point) => (best === null || point[1] < best[1] ? point : best), null);
  const losses = points(run.train, 'loss');
  return [
    figure(t('run.step'), number(run.step), t('run.of', { most: number(run.max_steps), percent: number(share(run) * 100, 0) })),
    run.epoch === null || run.epoch === undefined ? null : figure(t('run.epoch'), number(run.epoch, 2)),
    figure(t('run.loss'), quantity(losses.at(-1)?.[1])),
    lowest === null ? null : figure(t('run.eval'), quantity(evaluations.at(-1)[1]), t('run.best', { loss: quantity(lowest[1]), step: number(lowest[0]) })),
    figure(t('run.lr'), quantity(run.learning_rate ?? points(run.train, 'learning_rate').at(-1)?.[1])),
    figure(t('run.speed'), quantity(run.samples_per_second)),
    run.state === 'running' ? figure(t('run.eta'), duration(run.eta_seconds)) : null,
  ];
}

function lossSeries(run, smooth) {
  const train = points(run.train, 'loss');
  const evaluation = points(run.eval, 'loss');
  const even = smooth && train.length >= SMOOTH_FROM;
  return [
    { name: t('run.loss'), colour: even ? 'faint' : 'one', points: train },
    even ? { name: t('run.smoothed'), colour: 'one', points: smoothed(train) } : null,
    evaluation.length > 0 ? { name: t('run.eval'), colour: 'two', points: evaluation, dots: true } : null,
  ].filter(Boolean);
}

function checkpoint(entry, open) {
  const samples = h('div');
  const details = h('details', { class: 'checkpoint', dataset: { name: entry.name } },
    h('summary', {}, h('span', { class: 'checkpoint-name' }, entry.name),
      h('span', { class: 'checkpoint-facts' },
        entry.loss === null || entry.loss === undefined ? null : h('span', {}, `${t('run.loss')} ${quantity(entry.loss)}`),
        entry.eval_loss === null || entry.eval_loss === undefined ? null : h('span', {}, `${t('run.eval')} ${quantity(entry.eval_loss)}`),
        h('span', {}, t('run.count', { count: number(entry.samples?.length ?? 0) })))),
    scoreTable(entry.scores), samples);
  // Long lists of samples are only built when looked at.
  const draw = () => { if (details.open && samples.childElementCount === 0) samples.append(sampleList(entry.samples)); };
  details.addEventListener('toggle', draw);
  details.open = open;
  draw();
  return details;
}

function part(title, ...content) {
  const id = uid('part');
  return h('section', { class: 'part', 'aria-labelledby': id }, h('h3', { id }, title), content);
}

/** The view of a run: `{ node, update, destroy }`. Parts that did not change are left alone. */
export function runView(first) {
  let run = first;
  let smooth = load('smooth', true);
  const head = h('div', { class: 'run-head' });
  const title = h('h2', { tabindex: -1 }, first.id);
  const tiles = h('dl', { class: 'figures' });
  const loss = chart({ title: t('run.losscurve') });
  const rate = chart({ title: t('run.lrcurve') });
  const scores = h('div');
  const checkpoints = h('div', { class: 'checkpoints' });
  const loose = h('div');
  const settings = h('div');
  const seen = {};
  const box = h('input', { type: 'checkbox', class: 'switch', role: 'switch', id: uid('smooth'), checked: smooth });
  box.addEventListener('change', () => {
    smooth = box.checked;
    save('smooth', smooth);
    loss.update(lossSeries(run, smooth));
  });

  function whenChanged(name, value, draw) {
    const text = JSON.stringify(value ?? null);
    if (seen[name] === text) return;
    seen[name] = text;
    draw();
  }
  function update(next) {
    run = next;
    whenChanged('head', [run.state, run.step, run.max_steps], () => fill(head, stateBadge(run.state), progressBar(run)));
    fill(tiles, figures(run));
    whenChanged('curves', [run.train, run.eval], () => {
      loss.update(lossSeries(run, smooth));
      rate.update([{ name: t('run.lr'), colour: 'three', points: points(run.train, 'learning_rate') }]);
    });
    whenChanged('scores', run.scores, () => {
      const table = scoreTable(run.scores);
      fill(scores, table === null ? null : part(t('run.scores'), table));
    });
    whenChanged('checkpoints', run.checkpoints, () => {
      const opened = new Set([...checkpoints.querySelectorAll('details[open]')].map((details) => details.dataset.name));
      const entries = [...(run.checkpoints ?? [])].sort((one, two) => two.step - one.step);
      const nothingOpen = checkpoints.childElementCount === 0;
      const firstWithSamples = entries.findIndex((entry) => entry.samples?.length > 0);
      fill(checkpoints, entries.length > 0
        ? entries.map((entry, index) => checkpoint(entry, opened.has(entry.name) || (nothingOpen && index === firstWithSamples)))
        : h('p', { class: 'none' }, t('run.nocheckpoints')));
    });
    whenChanged('samples', run.samples, () => fill(loose, run.samples?.length > 0 ? part(t('run.samples'), sampleList(run.samples)) : null));
    whenChanged('configuration', run.configuration, () => fill(settings, configuration(run.configuration)));
  }

  const node = h('div', { class: 'run' },
    h('div', { class: 'run-title' }, title, head), tiles, scores,
    h('div', { class: 'curves' },
      h('section', { class: 'part', 'aria-label': t('run.losscurve') },
        h('div', { class: 'part-head' }, h('h3', {}, t('run.losscurve')), h('div', { class: 'check-row' }, h('label', { for: box.id }, t('run.smooth')), box)), loss.node),
      h('section', { class: 'part', 'aria-label': t('run.lrcurve') }, h('h3', {}, t('run.lrcurve')), rate.node)),
    part(t('run.checkpoints'), checkpoints), loose, part(t('run.config'), settings));
  update(first);
  return {
    node,
    update,
    destroy() {
      loss.destroy();
      rate.destroy();
    },
  };
}
