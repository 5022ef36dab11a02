// The browser, the server under test, and what every test watches for: scripts that must not run, requests that must not leave.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright';
import { startMock } from './mock.mjs';

/** The address of a real server to test, or undefined: then a stand-in is started. */
export const REAL = process.env.GLM_URL;

const TIMEOUT_MS = REAL ? 60000 : 8000;

/** Why a test that needs faked answers does not run. */
export const needsFakes = REAL ? 'needs faked answers, and GLM_URL names a real server' : false;

const mocks = new Set();

/** Playwright's own Chromium, or the system's where that was not downloaded (or CHROMIUM names one). */
export function launch() {
  const system = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));
  const own = existsSync(chromium.executablePath());
  return chromium.launch({ headless: true, executablePath: process.env.CHROMIUM ?? (own ? undefined : system), args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

/** For a real server: the key from GLM_KEY, and short answers, because a small model may never end by itself. */
async function prepare(page, url) {
  const key = process.env.GLM_KEY;
  const info = await page.request.get(`${url}api/info`, { headers: key ? { authorization: `Bearer ${key}` } : {} });
  const { base } = await info.json();
  await page.addInitScript(([name, secret]) => {
    if (secret) sessionStorage.setItem('glmtune.key', JSON.stringify(secret));
    localStorage.setItem(name, JSON.stringify({ max_tokens: 24 }));
  }, [`glmtune.sampling.${base.variant}`, key]);
}

/**
 * Open the page: `{ page, mock, url, finish }`. `finish()` checks that no request left the origin,
 * nothing broke the content security policy, no script failed and no planted script ran.
 */
export async function openPage(browser, { server = {}, hash = '', allowedErrors = [], ...context } = {}) {
  const mock = REAL ? null : await startMock(server);
  if (mock) mocks.add(mock);
  const url = REAL ? `${REAL.replace(/\/$/, '')}/` : mock.url;
  const opened = await browser.newContext({ locale: 'zh-CN', viewport: { width: 1440, height: 900 }, colorScheme: 'light', ...context });
  opened.setDefaultTimeout(TIMEOUT_MS);
  const page = await opened.newPage();
  const faults = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:') && !request.url().startsWith('blob:')) faults.push(`request to ${request.url()}`);
  });
  page.on('pageerror', (error) => faults.push(`script error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const text = message.text();
    // The browser itself reports every answer that is not 200.
    if (!text.startsWith('Failed to load resource') && !allowedErrors.some((allowed) => text.includes(allowed))) faults.push(`console: ${text}`);
  });
  if (REAL) await prepare(page, url);
  await page.goto(url + hash);
  return {
    page, mock, url,
    async finish() {
      const broken = await page.evaluate(() => window.broken);
      await opened.close();
      await mock?.close();
      mocks.delete(mock);
      assert.equal(broken, undefined, 'a planted script ran');
      assert.deepEqual(faults, []);
    },
  };
}

/** Close the browser and what a failed test left open. */
export async function closeAll(browser) {
  await browser.close();
  for (const mock of mocks) await mock.close();
}

/** Type a question and send it by Enter. */
export async function ask(page, text) {
  const box = page.locator('.chat-main .composer textarea');
  await box.fill(text);
  await box.press('Enter');
}

/** Wait until no answer is being written. */
export async function settled(page) {
  await page.locator('.answer').first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.answer[aria-busy="true"]').length === 0, null, { timeout: 60000 });
}
