// Usable by everyone: axe-core, keyboard, screen readers, narrow screens.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { ask, closeAll, launch, needsFakes, openPage, REAL, settled } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => closeAll(browser));

const NARROW = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

async function audit(page, where) {
  // A colour in the middle of a transition is no one's fault.
  await page.waitForFunction(() => document.getAnimations().every((each) => each.playState !== 'running' || each.effect.getTiming().iterations === Infinity));
  const { violations } = await new AxeBuilder({ page }).analyze();
  const faults = violations.map(({ id, impact, nodes }) => `${where}: ${impact} ${id} ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`);
  assert.deepEqual(faults, []);
}

async function fits(page, where) {
  const [scroll, client] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(scroll <= client, `${where}: ${scroll} px of content in ${client} px`);
  const wide = await page.evaluate(() => [...document.querySelectorAll('main, .thread, .compare-main, .run-stage, .run-list, .drawer')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => `${box.className || box.localName} ${box.scrollWidth}`));
  assert.deepEqual(wide, [], where);
}

for (const colorScheme of ['light', 'dark']) {
  for (const [width, size] of [['wide', {}], ['narrow', NARROW]]) {
    test(`axe-core finds nothing: ${colorScheme}, ${width}`, async () => {
      const { page, mock, url, finish } = await openPage(browser, { colorScheme, ...size, server: { hostile: true } });
      await page.locator('.composer').waitFor();
      await audit(page, 'empty chat');
      await ask(page, REAL ? '你好' : '判断质数');
      await settled(page);
      await audit(page, 'chat');
      await fits(page, 'chat');
      if (mock) {
        await page.getByLabel('模型', { exact: true }).selectOption('chatglm2-6b:adgen');
        mock.refuse = 1;
        await ask(page, '你好');
        await page.getByRole('button', { name: '不再自动重试' }).click();
        await audit(page, 'refused');
        await fits(page, 'refused');
      }
      if (width === 'narrow') {
        for (const name of ['全部对话', '采样参数']) {
          await page.getByRole('button', { name, exact: true }).click();
          await page.locator('dialog.drawer').waitFor();
          await audit(page, name);
          await fits(page, name);
          await page.keyboard.press('Escape');
          await page.locator('dialog.drawer').waitFor({ state: 'detached' });
        }
      }
      await page.goto(`${url}#compare`);
      await page.getByLabel('要对比的问题').fill('类型#上衣*颜色#白色');
      await page.getByLabel('要对比的问题').press('Enter');
      await settled(page);
      await audit(page, 'compare');
      await fits(page, 'compare');
      await page.goto(`${url}#runs`);
      await page.locator('.run-item, .page-state h1').first().waitFor();
      await audit(page, 'list of runs');
      if (mock) {
        await page.locator('.run-item').first().click();
        await page.locator('.chart-drawing .line').first().waitFor();
        await page.getByText('以表格显示').first().click();
        await audit(page, 'run');
        await fits(page, 'run');
      }
      await finish();
    });
  }
}

test('320 px, as at 400 % zoom on a small screen: nothing is cut off', { skip: needsFakes }, async () => {
  const { page, url, finish } = await openPage(browser, { locale: 'en-GB', viewport: { width: 320, height: 640 } });
  await ask(page, 'prime');
  await settled(page);
  await fits(page, 'chat');
  const right = await page.getByRole('button', { name: 'Theme: system' }).evaluate((button) => button.getBoundingClientRect().right);
  assert.ok(right <= 320, `the header ends at ${right} px`);
  for (const view of ['compare', 'runs/adgen-ptuning']) {
    await page.goto(`${url}#${view}`);
    await page.locator('.choices, .figures').first().waitFor();
    await fits(page, view);
  }
  await finish();
});

test('axe-core finds nothing in the dialogs', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser, { server: { key: 'k' } });
  await page.locator('dialog[open] input').first().waitFor();
  await audit(page, 'key');
  await finish();
});

test('the keyboard reaches everything in order, dialogs hold it and give it back', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser, { locale: 'en-GB' });
  await page.locator('.composer').waitFor();
  await page.locator('.skip').focus();
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
  const order = [await focused()];
  for (let press = 0; press < 6; press += 1) {
    await page.keyboard.press('Tab');
    order.push(await focused());
  }
  assert.deepEqual(order, ['Skip to content', 'Chat', 'Compare', 'Runs', '中 · 切换到中文', 'Theme: system', 'New conversation']);
  await page.locator('.skip').focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await ask(page, 'hello');
  await settled(page);
  const remove = page.getByRole('button', { name: 'Delete conversation: hello' });
  await remove.focus();
  await page.keyboard.press('Enter');
  await page.locator('dialog').waitFor();
  assert.equal(await focused(), 'Cancel');
  await page.keyboard.press('Escape');
  assert.equal(await focused(), 'Delete conversation: hello');
  await finish();
});

test('a streaming answer is read out sentence by sentence, politely', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser);
  await ask(page, '[slow] 写一段话');
  const live = page.locator('#live');
  assert.equal(await live.getAttribute('aria-live'), 'polite');
  await live.getByText('慢慢地，一个字一个字地写出来。').nth(1).waitFor();
  assert.equal(await page.locator('.answer').getAttribute('aria-busy'), 'true');
  await page.locator('.send-button.stop').click();
  await live.getByText('已停止').waitFor();
  assert.equal(await live.getByText('开始回答').count(), 1);
  await finish();
});
