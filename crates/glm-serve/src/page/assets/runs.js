// The runs view: the list of training runs and, beside it, the one chosen, both kept up to date.
import { getJson } from './api.js';
import { fill, h } from './dom.js';
import { ago, clock, number, quantity } from './format.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { errorCard, remark } from './notice.js';
import { poller } from './poller.js';
import { progressBar, stateBadge } from './run-state.js';
import { runView } from './run.js';
import { serverInfo } from './server.js';
import { enterKey } from './session-key.js';

const RUNNING_MS = 3000;
const IDLE_MS = 10000;

function emptyState(title, text) {
  return h('div', { class: 'page-state' }, h('span', { class: 'state-icon' }, icon('runs', 34)), h('h1', {}, title), h('p', {}, text));
}

function item(run, current) {
  return h('li', {}, h('a', { class: 'run-item', href: `#runs/${encodeURIComponent(run.id)}`, 'aria-current': run.id === current ? 'true' : null },
    h('span', { class: 'run-item-head' }, h('span', { class: 'run-name' }, run.id), stateBadge(run.state)),
    progressBar(run),
    h('span', { class: 'run-item-foot' },
      h('span', {}, `${number(run.step)} / ${number(run.max_steps)}`),
      run.loss === null || run.loss === undefined ? null : h('span', {}, `${t('run.loss.short')} ${quantity(run.loss)}`),
      h('span', { class: 'run-time' }, Number.isFinite(run.updated) ? ago(run.updated) : null))));
}

/** Put the runs view into `main`: `{ go, destroy }`. `go(id)` shows another run, null the list. */
export function runsView(main, id) {
  if (!serverInfo().runs) {
    fill(main, emptyState(t('runs.off'), t('runs.off.text')));
    return { go() {}, destroy() {} };
  }
  let current = id;
  let shown = null;
  let detail = null;
  let detailPolling = null;
  let listed = null;
  const list = h('ul', { class: 'run-items' });
  const problem = h('div', { class: 'remarks' });
  const stage = h('div', { class: 'run-stage' });
  const layout = h('div', { class: 'runs-layout' },
    h('h1', { class: 'sr-only' }, t('runs.title')),
    h('section', { class: 'run-list', 'aria-label': t('runs.list') }, h('h2', { class: 'list-title' }, t('runs.title')), problem, list),
    stage);
  fill(main, layout);
  fill(stage, loading());

  function loading() {
    return h('div', { class: 'page-state', role: 'status' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', {}, t('loading')));
  }
  function failed(error, again) {
    return h('div', { class: 'page-state' }, errorCard(error, { retry: again, enterKey: async () => { if (await enterKey()) again(); } }).node);
  }
  function drawList(answer) {
    const text = JSON.stringify([answer, shown]);
    if (listed?.text === text) return;
    const held = document.activeElement?.closest?.('.run-item')?.getAttribute('href');
    listed = { text, answer };
    fill(problem, answer.error ? remark('warning', t('runs.problem'), answer.error) : null);
    fill(list, answer.runs.map((run) => item(run, shown)));
    if (held) [...list.querySelectorAll('.run-item')].find((link) => link.getAttribute('href') === held)?.focus();
  }
  function showDetail() {
    layout.classList.toggle('has-run', current !== null);
    detailPolling?.stop();
    detail?.destroy();
    detail = null;
    const wide = matchMedia('(min-width: 900px)').matches;
    const first = listed?.answer.runs[0];
    shown = current ?? (wide ? first?.id : null) ?? null;
    if (listed !== null) drawList(listed.answer);
    if (shown === null) return fill(stage, h('p', { class: 'none' }, t('runs.pick')));
    fill(stage, loading());
    const wanted = shown;
    detailPolling = poller(async (signal) => {
      const run = await getJson(`api/runs/${encodeURIComponent(wanted)}`, { signal });
      if (detail === null) {
        detail = runView(run);
        fill(stage, h('a', { class: 'button small back only-narrow', href: '#runs' }, icon('back', 16), t('runs.back')), stale, detail.node);
        stage.scrollTop = 0;
      } else {
        detail.update(run);
      }
      fill(stale);
      lastGood = new Date();
      return run.state === 'running' ? RUNNING_MS : IDLE_MS;
    }, (error) => {
      if (detail === null || error.kind === 'missing' || error.kind === 'key') {
        detail?.destroy();
        detail = null;
        fill(stage, failed(error, showDetail));
        return false;
      }
      fill(stale, remark('warning', t('runs.stale', { time: clock(lastGood) })));
      return true;
    });
    return undefined;
  }
  const stale = h('div', { class: 'remarks', role: 'status' });
  let lastGood = new Date();

  let listPolling = null;
  function startList() {
    listPolling?.stop();
    listPolling = poller(async (signal) => {
      const answer = await getJson('api/runs', { signal });
      const begun = listed !== null;
      if (answer.runs.length === 0 && current === null) {
        listed = null;
        fill(main, emptyState(t('runs.none'), answer.error ?? t('runs.none.text')));
        return IDLE_MS;
      }
      if (!layout.isConnected) fill(main, layout);
      drawList(answer);
      if (!begun) showDetail();
      return answer.runs.some((run) => run.state === 'running') ? RUNNING_MS : IDLE_MS;
    }, (error) => {
      if (listed === null || error.kind === 'key') {
        fill(main, failed(error, () => { fill(main, layout); startList(); }));
        return false;
      }
      return true;
    });
  }
  startList();

  return {
    go(next) {
      current = next;
      if (listed === null) return;
      showDetail();
      stage.querySelector('h2')?.focus();
    },
    destroy() {
      listPolling?.stop();
      detailPolling?.stop();
      detail?.destroy();
    },
  };
}
