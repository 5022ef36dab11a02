// The compare and runs views.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { closeAll, launch, needsFakes, openPage, REAL, settled } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => closeAll(browser));

test('compare: one prompt, answered side by side by the base and adapters at once', async () => {
  const { page, mock, finish } = await openPage(browser, { hash: '#compare' });
  const box = page.getByLabel('要对比的问题');
  await box.fill('类型#上衣*颜色#白色');
  await box.press('Enter');
  await settled(page);
  const columns = page.locator('.column');
  if (REAL) {
    assert.ok(await columns.count() >= 1);
  } else {
    assert.deepEqual(await page.locator('.column-head h3').allTextContents(), ['chatglm2-6b', 'adgen', 'adgen-lora']);
    assert.deepEqual(await page.locator('.column-head .badge').allTextContents(), ['微调前', '微调后', '微调后']);
    assert.deepEqual(mock.asked.map(({ model }) => model).sort(), ['chatglm2-6b', 'chatglm2-6b:adgen', 'chatglm2-6b:adgen-lora']);
    const tops = await columns.evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
    assert.ok(tops.every((top) => top === tops[0]), 'the answers stand side by side');
  }
  for (const text of await page.locator('.column .markdown').allTextContents()) assert.ok(text.length > 0);
  await page.reload();
  await columns.first().waitFor();
  await page.getByRole('button', { name: '移除这次对比' }).click();
  assert.equal(await columns.count(), 0);
  await finish();
});

test('compare: models are chosen, all answers stop at once, one may be refused alone', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser, { hash: '#compare' });
  await page.getByLabel(/^service-desk/).check();
  await page.getByLabel(/^adgen-lora/).uncheck();
  const box = page.getByLabel('要对比的问题');
  await box.fill('[slow] 说点什么');
  await box.press('Enter');
  await page.waitForFunction(() => [...document.querySelectorAll('.column .markdown')].filter((each) => each.textContent.length > 4).length === 3);
  await page.locator('.send-button.stop').click();
  await page.waitForFunction(() => document.querySelectorAll('.ending.stopped').length === 3);
  await page.waitForTimeout(200);
  assert.equal(mock.cancelled, 3);
  mock.refuse = 1;
  await box.fill('你好');
  await box.press('Enter');
  await page.locator('.round').first().locator('.card.busy').waitFor();
  await page.waitForFunction(() => document.querySelector('.round').querySelectorAll('.card').length === 0, null, { timeout: 8000 });
  await settled(page);
  assert.equal(await page.locator('.round').first().locator('.markdown').count(), 3);
  for (const text of await page.locator('.round').first().locator('.markdown').allTextContents()) assert.match(text, /你问的是/);
  await finish();
});

test('runs: list, figures, curves read by keys, checkpoints with samples, configuration, live refresh', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser, { hash: '#runs' });
  await page.locator('.run-item').nth(2).waitFor();
  assert.deepEqual(await page.locator('.run-item .state').allTextContents(), ['训练中', '已完成', '已停止']);
  const chart = page.getByRole('slider', { name: /^损失曲线/ });
  await chart.waitFor();
  assert.ok(await page.locator('.chart-drawing .line').count() >= 3);
  await chart.focus();
  await page.keyboard.press('Home');
  assert.match(await chart.getAttribute('aria-valuetext'), /^第 10 步: 训练损失 \d/);
  await page.keyboard.press('ArrowRight');
  assert.match(await chart.getAttribute('aria-valuetext'), /^第 20 步/);
  await page.getByText('以表格显示').first().click();
  await page.locator('.chart-table tbody tr').nth(100).waitFor();
  const step = () => page.locator('.figure dd').first().textContent();
  const first = await step();
  await page.waitForFunction((before) => document.querySelector('.figure dd').textContent !== before, first, { timeout: 8000 });
  await page.locator('.chart-table tbody tr').nth(100).waitFor();
  await page.locator('.checkpoint[open] .sample').first().waitFor();
  assert.equal(await page.locator('.checkpoint[open] .sample').count(), 10);
  await page.getByRole('button', { name: '再显示 10 条' }).click();
  assert.equal(await page.locator('.checkpoint[open] .sample').count(), 20);
  await page.getByLabel('搜索配置').fill('learning');
  assert.deepEqual(await page.locator('.config tbody tr').allTextContents(), ['learning_rate0.02']);
  await page.locator('.run-item', { hasText: 'first try' }).click();
  await page.getByRole('heading', { name: 'first try/lr 2e-2' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'first try/lr 2e-2' }).waitFor();
  await page.locator('.run-item', { hasText: 'adgen-lora' }).click();
  await page.getByText('rouge-l').first().waitFor();
  await finish();
});

test('runs: none yet, switched off, unknown, and a server that fails in between', { skip: needsFakes }, async () => {
  const none = await openPage(browser, { hash: '#runs', server: { runs: [] } });
  await none.page.getByText('还没有训练记录').waitFor();
  await none.finish();
  const off = await openPage(browser, { hash: '#runs', server: { runs: null } });
  await off.page.getByText('没有开启训练视图').waitFor();
  await off.finish();
  const { page, mock, finish } = await openPage(browser, { hash: '#runs/gone' });
  await page.getByText('no such run').waitFor();
  await page.locator('.run-item').first().click();
  await page.locator('.figures').waitFor();
  mock.broken = true;
  await page.getByText(/暂时取不到新数据/).waitFor({ timeout: 8000 });
  await page.locator('.figures').waitFor();
  await finish();
});

test('runs of a real server are shown, or their absence', { skip: REAL ? false : 'GLM_URL names no real server' }, async () => {
  const { page, finish } = await openPage(browser, { hash: '#runs' });
  await page.locator('.run-item, .page-state h1').first().waitFor();
  if (await page.locator('.run-item').count() > 0) await page.locator('.figures').waitFor();
  await finish();
});
