// Starts the page: greets the server, asks for the key when one is needed, and shows the view of the address.
import { ApiError, getJson, hasKey } from './api.js';
import { chatView } from './chat.js';
import { compareView } from './compare.js';
import { conversationEvents } from './conversations.js';
import { fill, h } from './dom.js';
import { language, switchLanguage, t } from './i18n.js';
import { icon, mark } from './icons.js';
import { errorCard, toast } from './notice.js';
import { runsView } from './runs.js';
import { refreshIfOld, refreshInfo, serverInfo } from './server.js';
import { enterKey } from './session-key.js';
import { followSystemTheme, nextTheme, themeChoice } from './theme.js';

const VIEWS = [['chat', chatView], ['compare', compareView], ['runs', runsView]];
const START_RETRY_S = 5;

const app = document.getElementById('app');
let hello = null;
let main = null;
let view = null;
let shown = null;

function route() {
  const [name, ...rest] = location.hash.slice(1).split('/');
  let id = null;
  try {
    id = rest.length > 0 ? decodeURIComponent(rest.join('/')) : null;
  } catch {
    // A broken percent sign in the address: no run has that name.
  }
  return { name: VIEWS.some(([known]) => known === name) ? name : 'chat', id };
}

function themeButton() {
  const button = h('button', { type: 'button', class: 'icon-button' });
  const draw = () => {
    const choice = themeChoice();
    fill(button, icon({ light: 'sun', dark: 'moon', system: 'system' }[choice]));
    button.setAttribute('aria-label', t(`theme.${choice}`));
    button.title = t(`theme.${choice}`);
  };
  button.addEventListener('click', () => {
    nextTheme();
    draw();
  });
  draw();
  return button;
}

function languageButton() {
  const other = language() === 'en' ? 'zh-CN' : 'en';
  return h('button', {
    type: 'button', class: 'icon-button language', lang: other, 'aria-label': `${t('language.other')} · ${t('language.switch')}`, title: t('language.switch'),
    onclick: () => {
      switchLanguage();
      shell();
      app.querySelector('.language').focus();
    },
  }, t('language.other'));
}

function keyButton() {
  if (!hello?.needs_key) return null;
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': t('key.change'), title: t('key.change'), onclick: () => enterKey() }, icon('key'));
}

/** Draw the frame of the page in the language in use, and the view within. */
function shell() {
  view?.destroy();
  view = null;
  shown = null;
  main = h('main', { id: 'main', tabindex: -1 });
  const links = VIEWS.map(([name]) => h('a', { href: `#${name}`, dataset: { view: name } }, icon({ chat: 'chat', compare: 'compare', runs: 'runs' }[name]), h('span', {}, t(`view.${name}`))));
  fill(app,
    h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, t('skip')),
    h('header', { class: 'top' },
      h('div', { class: 'brand' }, mark(), h('span', {}, 'glmtune')),
      serverInfo() ? h('nav', { class: 'views', 'aria-label': t('views') }, links) : null,
      h('div', { class: 'top-actions' }, keyButton(), languageButton(), themeButton())),
    main);
  if (serverInfo()) show();
}

/** Show the view that the address names. */
function show(moved = false) {
  const { name, id } = route();
  if (shown === name && view?.go) {
    view.go(id);
    return;
  }
  view?.destroy();
  shown = name;
  for (const link of app.querySelectorAll('nav.views a')) {
    if (link.dataset.view === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${t(`view.${name}`)} · glmtune`;
  view = VIEWS.find(([known]) => known === name)[1](main, id);
  if (moved && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  refreshIfOld();
}

let clock = null;
function waitAndRetry(error) {
  let left = START_RETRY_S;
  const count = h('p', { class: 'countdown', role: 'timer' });
  const retry = () => { clearInterval(clock); start(); };
  const card = errorCard(error, { retry, enterKey: askThenStart });
  fill(main, h('div', { class: 'page-state' }, h('h1', {}, t(error.kind === 'key' ? 'key.title' : 'start.failed')), card.node, error.kind === 'key' ? null : count));
  if (error.kind === 'key') return;
  const tick = () => { count.textContent = t('start.again', { seconds: left }); };
  tick();
  clock = setInterval(() => {
    left -= 1;
    tick();
    if (left <= 0) retry();
  }, 1000);
}

async function askThenStart() {
  if (await enterKey()) start();
}

async function start() {
  shell();
  fill(main, h('div', { class: 'page-state', role: 'status' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', {}, t('start.title'))));
  try {
    hello = await getJson('api/hello');
    if (hello.needs_key && !hasKey()) throw new ApiError('key', '');
    await refreshInfo();
    shell();
  } catch (error) {
    waitAndRetry(error);
    if (error.kind === 'key') askThenStart();
  }
}

window.addEventListener('hashchange', () => { if (serverInfo()) show(true); });
document.addEventListener('visibilitychange', () => { if (!document.hidden && serverInfo()) refreshIfOld(); });
conversationEvents.addEventListener('full', () => toast(t('storage.full')), { once: true });
followSystemTheme();
start();
