// The panel of sliders over the sampling parameters.
import { fill, h, uid } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import * as sampling from './sampling.js';
import { serverInfo } from './server.js';

const GREEDY_IGNORES = new Set(['temperature', 'top_p', 'top_k', 'seed']);
const LARGEST_SEED = 2 ** 31 - 1;

function clamp(value, min, max) {
  return Math.min(max, Math.max(min, value));
}

function row(name, { control, box, help }) {
  const helpId = uid('help');
  control.setAttribute('aria-describedby', helpId);
  return h('div', { class: 'field', dataset: { name } },
    h('div', { class: 'field-head' }, h('label', { for: control.id }, t(`sampling.${name}`)), box),
    control,
    h('p', { class: 'field-help', id: helpId }, help ?? t(`sampling.${name}.help`)));
}

function slider({ name, min, max, step }) {
  const range = h('input', { type: 'range', id: uid(name), min, max, step });
  const box = h('input', { type: 'number', class: 'number', min, max, step: 'any', inputmode: 'decimal', 'aria-label': t('sampling.value', { name: t(`sampling.${name}`) }) });
  range.addEventListener('input', () => sampling.set(name, Number(range.value)));
  box.addEventListener('change', () => {
    const next = box.value.trim() === '' ? null : clamp(Number(box.value), min, max);
    sampling.set(name, Number.isFinite(next) ? next : null);
    update();
  });
  function update() {
    const value = sampling.value(name);
    range.value = value;
    if (document.activeElement !== box || box.value === '') box.value = value === null ? '' : Number(value.toFixed(4));
    range.disabled = box.disabled = GREEDY_IGNORES.has(name) && sampling.value('greedy');
  }
  return { node: row(name, { control: range, box }), update };
}

function length() {
  const name = 'max_tokens';
  const steps = sampling.lengthSteps();
  const most = steps.at(-1) ?? 1;
  const range = h('input', { type: 'range', id: uid(name), min: 0, max: steps.length - 1, step: 1 });
  const box = h('input', { type: 'number', class: 'number', min: 1, max: most, step: 1, placeholder: t('sampling.auto'), inputmode: 'numeric', 'aria-label': t('sampling.value', { name: t('sampling.max_tokens') }) });
  range.addEventListener('input', () => sampling.set(name, steps[Number(range.value)]));
  box.addEventListener('change', () => {
    const typed = Math.round(Number(box.value));
    sampling.set(name, box.value.trim() === '' || !Number.isFinite(typed) ? null : clamp(typed, 1, most));
    update();
  });
  function update() {
    const value = sampling.value(name);
    const at = value === null ? 0 : steps.findIndex((step) => step !== null && step >= value);
    range.value = at < 0 ? steps.length - 1 : at;
    range.setAttribute('aria-valuetext', value === null ? t('sampling.auto') : String(value));
    box.value = value ?? '';
  }
  const help = t('sampling.max_tokens.help', { length: number(serverInfo().defaults?.max_length ?? most) });
  return { node: row(name, { control: range, box, help }), update };
}

function seed() {
  const name = 'seed';
  const box = h('input', { type: 'number', id: uid(name), class: 'wide', min: 0, max: LARGEST_SEED, step: 1, placeholder: t('sampling.seed.random'), inputmode: 'numeric' });
  const roll = h('button', {
    class: 'icon-button', type: 'button', 'aria-label': t('sampling.seed.roll'), title: t('sampling.seed.roll'),
    onclick: () => sampling.set(name, Math.floor(Math.random() * LARGEST_SEED)),
  }, icon('dice'));
  box.addEventListener('change', () => {
    const typed = Math.round(Number(box.value));
    sampling.set(name, box.value.trim() === '' || !Number.isFinite(typed) ? null : clamp(typed, 0, LARGEST_SEED));
    update();
  });
  function update() {
    box.value = sampling.value(name) ?? '';
    box.disabled = roll.disabled = sampling.value('greedy');
  }
  return { node: row(name, { control: box, box: roll }), update };
}

function greedy() {
  const box = h('input', { type: 'checkbox', id: uid('greedy'), class: 'switch', role: 'switch', 'aria-describedby': 'greedy-help' });
  box.addEventListener('change', () => sampling.set('greedy', box.checked ? true : null));
  const node = h('div', { class: 'field field-switch', dataset: { name: 'greedy' } },
    h('div', {}, h('label', { for: box.id }, t('sampling.greedy')), h('p', { class: 'field-help', id: 'greedy-help' }, t('sampling.greedy.help'))), box);
  return { node, update: () => { box.checked = sampling.value('greedy'); } };
}

/** The panel: `{ node, destroy }`. It follows changes made elsewhere. */
export function samplingPanel() {
  const rows = [greedy(), ...sampling.SLIDERS.filter(({ name }) => sampling.defaultOf(name) !== null).map(slider), length(), seed()];
  const note = h('p', { class: 'field-help' });
  const reset = h('button', { class: 'button small', type: 'button', onclick: () => sampling.reset() }, icon('refresh', 15), t('sampling.reset'));
  function update() {
    for (const each of rows) each.update();
    const count = sampling.changedCount();
    fill(note, count > 0 ? t('sampling.changed', { count }) : t('sampling.official', { variant: serverInfo().base.variant }));
    reset.disabled = count === 0;
  }
  sampling.samplingEvents.addEventListener('change', update);
  update();
  const node = h('section', { class: 'sampling', 'aria-label': t('sampling') },
    h('div', { class: 'panel-head' }, h('h2', {}, t('sampling'))),
    h('div', { class: 'sampling-note' }, note, reset),
    rows.map((each) => each.node));
  return { node, destroy: () => sampling.samplingEvents.removeEventListener('change', update) };
}
