// Generated samples and scores of a run or checkpoint, as text only: run files are not trusted.
import { fill, h } from './dom.js';
import { number, quantity } from './format.js';
import { t } from './i18n.js';

const SHOWN_AT_ONCE = 10;

function block(name, text, kind) {
  if (text === null || text === undefined || text === '') return null;
  return h('div', { class: `sample-part ${kind}` }, h('h4', {}, name), h('p', {}, text));
}

function sample(entry) {
  return h('li', { class: 'sample' },
    block(t('run.prompt'), entry.prompt, 'prompt'),
    h('div', { class: 'sample-pair' }, block(t('run.label'), entry.label, 'label'), block(t('run.predict'), entry.predict, 'predict')));
}

/** A list of samples that shows a few and the rest on demand. */
export function sampleList(samples) {
  if (!samples?.length) return h('p', { class: 'none' }, t('run.nosamples'));
  const list = h('ol', { class: 'samples' });
  const more = h('button', { type: 'button', class: 'button small' });
  let shown = 0;
  const draw = () => {
    const from = shown;
    shown = Math.min(samples.length, shown + SHOWN_AT_ONCE);
    list.append(...samples.slice(from, shown).map(sample));
    more.hidden = shown === samples.length;
    fill(more, t('run.more', { count: number(Math.min(SHOWN_AT_ONCE, samples.length - shown)) }));
  };
  more.addEventListener('click', () => {
    const first = shown;
    draw();
    list.children[first].tabIndex = -1;
    list.children[first].focus();
  });
  draw();
  return h('div', {}, list, more);
}

/** A row of scores, or null when there are none. */
export function scoreTable(scores) {
  const entries = Object.entries(scores ?? {}).filter(([, value]) => typeof value === 'number');
  if (entries.length === 0) return null;
  return h('dl', { class: 'scores' }, entries.map(([name, value]) => h('div', {}, h('dt', {}, name.replace(/^(predict|eval)_/, '')), h('dd', {}, quantity(value)))));
}
