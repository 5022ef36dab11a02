// Pictures of every view in both languages, both themes and both widths: `node screenshots.mjs FOLDER`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ask, launch, openPage, settled } from './harness.mjs';

const folder = process.argv[2] ?? 'screenshots';
const only = process.argv[3];
mkdirSync(folder, { recursive: true });
const browser = await launch();
const SIZES = { 390: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, 1440: { viewport: { width: 1440, height: 900 } } };

for (const [locale, colorScheme, width] of [['zh-CN', 'light', 1440], ['en-GB', 'dark', 1440], ['zh-CN', 'dark', 390], ['en-GB', 'light', 390]]) {
  const name = (view) => join(folder, `${view}-${locale.slice(0, 2)}-${colorScheme}-${width}.png`);
  if (only && !name('').includes(only)) continue;
  const { page, mock, url, finish } = await openPage(browser, { locale, colorScheme, ...SIZES[width] });
  const shot = (view) => page.screenshot({ path: name(view) });
  await page.locator('.composer').waitFor();
  await shot('empty');
  await ask(page, locale === 'zh-CN' ? '写一个 Python 函数，判断一个数是不是质数。' : 'Write a Python function that tells whether a number is prime.');
  await settled(page);
  await page.selectOption('.model-picker select', 'chatglm2-6b:adgen');
  await ask(page, '类型#上衣*材质#牛仔布*颜色#白色*风格#简约');
  await settled(page);
  await shot('single');
  await page.locator('.thread').evaluate((thread) => { thread.scrollTop = 0; });
  await page.waitForTimeout(100);
  await shot('chat');
  mock.refuse = 1;
  await ask(page, 'one more');
  await page.locator('.card.busy').waitFor();
  await shot('busy');
  if (width === 390) {
    await page.locator('.bar .icon-button').first().click();
    await page.waitForTimeout(200);
    await shot('drawer');
    await page.keyboard.press('Escape');
    await page.locator('.bar .icon-button').last().click();
    await page.waitForTimeout(200);
    await shot('sampling');
    await page.keyboard.press('Escape');
  }
  await page.goto(`${url}#compare`);
  await page.locator('.compare-main textarea').fill('类型#上衣*材质#牛仔布*颜色#白色*风格#简约*图案#刺绣');
  await shot('compare-empty');
  await page.locator('.compare-main textarea').press('Enter');
  await settled(page);
  await shot('compare');
  await page.goto(`${url}#runs`);
  if (width === 390) {
    await page.locator('.run-item').first().waitFor();
    await shot('runs-list');
    await page.locator('.run-item').first().click();
  }
  await page.locator('.run .chart-drawing .line').first().waitFor();
  await shot('runs');
  await page.locator('.run-stage').evaluate((stage) => { stage.scrollTop = 640; });
  await page.waitForTimeout(100);
  await shot('runs-more');
  await finish();
}

if (!only || 'key'.includes(only)) {
  for (const [locale, colorScheme] of [['zh-CN', 'light'], ['en-GB', 'dark']]) {
    const { page, finish } = await openPage(browser, { locale, colorScheme, server: { key: 'k' } });
    await page.locator('dialog input').first().waitFor();
    await page.screenshot({ path: join(folder, `key-${locale.slice(0, 2)}-${colorScheme}.png`) });
    await finish();
  }
}
await browser.close();
