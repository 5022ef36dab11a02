// The compare view: the same prompt answered side by side, before and after tuning.
import { announce } from './announce.js';
import { answerView } from './answer-view.js';
import { answerOne, compare, comparingEvents, comparisons, discardComparison, isComparing, stopComparing } from './comparing.js';
import { composer } from './composer.js';
import { fill, h, uid } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { modelRemarks } from './model-picker.js';
import { remark, toast } from './notice.js';
import { findModel, kindName, serverEvents, serverInfo, shortName } from './server.js';
import { sidePanel } from './side-panel.js';
import { load, save } from './storage.js';

const FIRST_ADAPTERS = 2;

let draft = '';
let chosen = null;
const retries = new WeakMap();

function firstChoice() {
  const { models } = serverInfo();
  const before = load('compare-models', []);
  const kept = (Array.isArray(before) ? before : []).filter(findModel);
  if (kept.length > 1) return new Set(kept);
  const bases = models.filter((model) => !model.adapter).slice(0, 1);
  return new Set([...bases, ...models.filter((model) => model.adapter).slice(0, FIRST_ADAPTERS)].map((model) => model.id));
}

function modelChoice() {
  const list = h('div', { class: 'choices' });
  const notes = h('div', { class: 'remarks' });
  function box(model) {
    const input = h('input', { type: 'checkbox', id: uid('compare'), checked: chosen.has(model.id) });
    input.addEventListener('change', () => {
      if (input.checked) chosen.add(model.id);
      else chosen.delete(model.id);
      save('compare-models', [...chosen]);
      drawNotes();
    });
    return h('label', { class: 'choice', for: input.id }, input,
      h('span', { class: 'choice-name' }, shortName(model)), h('span', { class: 'choice-kind' }, kindName(model) ?? t('model.base.short')));
  }
  function drawNotes() {
    const { models } = serverInfo();
    const warnings = models.filter((model) => chosen.has(model.id) && model.adapter?.warning);
    fill(notes,
      models.every((model) => !model.adapter) ? remark('info', t('compare.lonely')) : null,
      warnings.map((model) => remark('warning', `${shortName(model)}: ${model.adapter.warning}`)));
  }
  function draw() {
    for (const id of [...chosen]) if (!findModel(id)) chosen.delete(id);
    fill(list, serverInfo().models.map(box));
    drawNotes();
  }
  serverEvents.addEventListener('change', draw);
  draw();
  const node = h('div', {}, h('fieldset', { class: 'choice-set' }, h('legend', {}, t('compare.models')), list), notes);
  return { node, destroy: () => serverEvents.removeEventListener('change', draw) };
}

function columnHead(answer) {
  const model = findModel(answer.asked ?? answer.model);
  const tuned = answer.tuned ?? Boolean(model?.adapter);
  return h('header', { class: 'column-head' },
    h('h3', {}, model ? shortName(model) : answer.model),
    h('span', { class: `badge ${tuned ? 'after' : 'before'}` }, t(tuned ? 'compare.after' : 'compare.before')),
    h('span', { class: 'column-kind' }, model ? kindName(model) ?? serverInfo().base.variant : null),
    model && model.adapter?.source_prefix ? modelRemarks({ adapter: { source_prefix: model.adapter.source_prefix } }) : null);
}

/** Put the compare view into `main`: `{ destroy }`. */
export function compareView(main) {
  chosen ??= firstChoice();
  const choice = modelChoice();
  const side = sidePanel();
  const results = h('section', { class: 'rounds', 'aria-label': t('compare.results') });
  const views = new Map();
  const box = composer({
    label: t('compare.prompt'), placeholder: t('compare.placeholder'), value: draft, sendLabel: t('compare.run'),
    send: run, stop: stopComparing, draft: (text) => { draft = text; },
  });

  function run(prompt) {
    // In the server's order: the base first, then its adapters.
    const ids = serverInfo().models.map((model) => model.id).filter((id) => chosen.has(id));
    if (ids.length === 0) return toast(t('compare.pick'));
    compare(prompt, ids);
    draw();
    results.firstElementChild?.scrollIntoView({ block: 'nearest' });
    return undefined;
  }
  function column(round, answer) {
    const retry = (automatic) => {
      retries.set(answer, automatic ? (retries.get(answer) ?? 0) + 1 : 0);
      answerOne(round, answer);
    };
    const view = answerView(answer, { retry, regenerate: () => retry(false), spoken: false, headed: false, retries: () => retries.get(answer) ?? 0 });
    views.set(answer.id, view);
    return h('section', { class: `column ${answer.tuned ? 'tuned' : 'plain'}`, 'aria-label': answer.model }, columnHead(answer), view.node);
  }
  function tries() {
    const prompts = [2, 1, 4, 3].map((number) => t(`chat.try.${number}`));
    return h('div', { class: 'tries' }, h('h2', {}, t('compare.try')),
      h('ul', { class: 'examples' }, prompts.map((prompt) => h('li', {}, h('button', { type: 'button', onclick: () => { box.set(prompt); run(prompt); } }, prompt)))));
  }
  function roundNode(round) {
    return h('section', { class: 'round', 'aria-label': t('compare.round', { prompt: round.prompt }) },
      h('div', { class: 'round-head' }, h('h2', { class: 'round-prompt' }, round.prompt),
        h('button', { type: 'button', class: 'icon-button', 'aria-label': t('compare.again'), title: t('compare.again'), onclick: () => { if (!isComparing()) run(round.prompt); } }, icon('refresh', 16)),
        h('button', {
          type: 'button', class: 'icon-button', 'aria-label': t('compare.remove'), title: t('compare.remove'),
          onclick: () => { discardComparison(round); draw(); box.area.focus(); },
        }, icon('trash', 16))),
      h('div', { class: 'columns' }, round.answers.map((answer) => column(round, answer))));
  }
  function draw() {
    for (const view of views.values()) view.destroy();
    views.clear();
    const all = comparisons();
    fill(results, all.length > 0 ? all.map(roundNode) : tries());
    box.setBusy(isComparing());
  }
  function progress({ detail: { answer } }) {
    views.get(answer.id)?.update();
    box.setBusy(isComparing());
    if (answer.status === 'done' && !isComparing()) announce(t('answer.done'));
  }

  comparingEvents.addEventListener('progress', progress);
  fill(main, h('div', { class: 'compare-layout' },
    h('div', { class: 'compare-main' },
      h('div', { class: 'compare-inner' },
        h('div', { class: 'compare-head' }, h('div', {}, h('h1', {}, t('compare.title')), h('p', {}, t('compare.text'))), side.button),
        choice.node, box.node, results)),
    side.node));
  draw();
  return {
    destroy() {
      comparingEvents.removeEventListener('progress', progress);
      for (const part of [choice, side, ...views.values()]) part.destroy();
    },
  };
}
