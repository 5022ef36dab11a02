// Chat: asking, streaming, stopping, changing, keeping; language and theme; refusals of the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, closeAll, launch, needsFakes, openPage, REAL, settled } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => closeAll(browser));

const answers = (page) => page.locator('.answer .markdown');
const SHORT = REAL ? '你好' : '你好，请介绍一下';

test('a question is sent, the answer streams in and is kept over a reload', async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, REAL ? SHORT : '[slow] 写一段话');
  if (mock) {
    // A real server may have ended its answer before anyone looks.
    await page.locator('.answer[aria-busy="true"]').waitFor();
    await page.waitForFunction(() => document.querySelector('.answer .markdown').textContent.length > 5);
    const early = await answers(page).first().textContent();
    await page.waitForFunction((length) => document.querySelector('.answer .markdown').textContent.length > length, early.length);
    assert.equal(await page.locator('.send-button').getAttribute('aria-label'), '停止');
  }
  await settled(page);
  const text = await answers(page).first().textContent();
  assert.ok(text.length > 0);
  assert.match(await page.locator('.answer-title .chip-name').first().textContent(), /\S/);
  assert.match(await page.locator('.statistics').first().textContent(), /词元\/秒/);
  await page.reload();
  await answers(page).first().waitFor();
  assert.equal(await answers(page).first().textContent(), text);
  assert.match(await page.locator('.chat-item-title').first().textContent(), REAL ? /你好/ : /写一段话/);
  await finish();
});

test('stop ends the answer, keeps its beginning and tells the server', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, '[slow] 写一段话');
  await page.waitForFunction(() => document.querySelector('.answer .markdown')?.textContent.length > 5);
  await page.locator('.send-button.stop').click();
  await page.locator('.ending.stopped').waitFor();
  assert.ok((await answers(page).textContent()).length > 5);
  await page.waitForTimeout(300);
  assert.equal(mock.cancelled, 1);
  assert.equal(await page.locator('.send-button').getAttribute('aria-label'), '发送');
  await finish();
});

test('regenerate replaces the last answer; history goes with the next question', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, '第一问');
  await settled(page);
  await page.getByRole('button', { name: '重新生成' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.answer').length === 1);
  await settled(page);
  assert.equal(mock.asked.length, 2);
  assert.deepEqual(mock.asked[1].messages, [{ role: 'user', content: '第一问' }]);
  await ask(page, '[history]');
  await answers(page).getByText('messages: 3').waitFor();
  await finish();
});

test('an edited question is sent again and replaces what follows', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, '第一问');
  await settled(page);
  await ask(page, '第二问');
  await page.locator('.question').nth(1).waitFor();
  await settled(page);
  await page.locator('.question').first().hover();
  await page.getByRole('button', { name: '修改问题' }).first().click();
  const box = page.locator('.question-edit textarea');
  assert.equal(await box.inputValue(), '第一问');
  await box.press('Escape');
  assert.equal(await page.locator('.question-edit').count(), 0);
  await page.getByRole('button', { name: '修改问题' }).first().click();
  await box.fill('改过的问题');
  await box.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.question').length === 1);
  await settled(page);
  assert.deepEqual(mock.asked.at(-1).messages, [{ role: 'user', content: '改过的问题' }]);
  assert.match(await page.locator('.chat-item-title').textContent(), /改过的问题/);
  await finish();
});

test('answers and code blocks can be copied; conversations are listed, deleted and cleared', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser, { permissions: ['clipboard-read', 'clipboard-write'] });
  await ask(page, '写一个判断质数的函数');
  await settled(page);
  await page.getByRole('button', { name: '复制代码' }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def is_prime[\s\S]*return True$/);
  await page.getByRole('button', { name: '复制回答' }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes('### 要点'));
  assert.equal(await page.locator('.answer table td').count(), 4);
  assert.equal(await page.locator('.answer strong').first().textContent(), '注意：');
  await page.getByRole('button', { name: '新对话' }).click();
  await page.locator('.hello').waitFor();
  await ask(page, '另一个对话');
  await settled(page);
  assert.equal(await page.locator('.chat-item').count(), 2);
  await page.getByRole('button', { name: '清空对话' }).click();
  await page.locator('dialog .danger').click();
  await page.locator('.hello').waitFor();
  await page.locator('.chat-item').nth(1).click();
  await answers(page).getByText('def is_prime').waitFor();
  await page.getByRole('button', { name: /^删除对话：写一个/ }).click();
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.chat-item').count(), 2);
  await page.getByRole('button', { name: /^删除对话：写一个/ }).click();
  await page.locator('dialog .danger').click();
  await page.locator('.hello').waitFor();
  assert.equal(await page.locator('.chat-item').count(), 1);
  await finish();
});

test('an answer goes on while another conversation is shown', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser);
  await ask(page, '[slow] 长回答');
  await page.waitForFunction(() => document.querySelector('.answer .markdown')?.textContent.length > 5);
  await page.getByRole('button', { name: '新对话' }).click();
  await ask(page, '短问题');
  await settled(page);
  await page.locator('.chat-item', { hasText: '长回答' }).click();
  await settled(page);
  assert.equal((await answers(page).textContent()).trim().length, '慢慢地，一个字一个字地写出来。'.length * 12);
  await finish();
});

test('two tabs of the page see each other’s conversations and do not overwrite them', { skip: needsFakes }, async () => {
  const { page, url, mock, finish } = await openPage(browser);
  await ask(page, '第一问');
  await settled(page);
  const other = await page.context().newPage();
  await other.goto(url);
  await other.locator('.chat-item', { hasText: '第一问' }).click();
  await ask(other, '第二问');
  await other.waitForFunction(() => document.querySelectorAll('.answer').length === 2);
  await settled(other);
  await page.waitForFunction(() => document.querySelectorAll('.question').length === 2);
  await ask(page, '[history]');
  await answers(page).getByText('messages: 5').waitFor();
  assert.equal(mock.asked.at(-1).messages[2].content, '第二问');
  await finish();
});

test('an adapter trained on single questions gets no history, and the page says so', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, '第一问');
  await settled(page);
  await page.getByLabel('模型', { exact: true }).selectOption('chatglm2-6b:adgen');
  await page.locator('.remark', { hasText: '单轮问答' }).waitFor();
  await ask(page, '[history]');
  await answers(page).getByText('messages: 1').waitFor();
  assert.match(await page.locator('.own').textContent(), /第 2 问 · 单独回答/);
  assert.equal(mock.asked.at(-1).model, 'chatglm2-6b:adgen');
  assert.deepEqual(await page.locator('.answer-title .chip-name').allTextContents(), ['chatglm2-6b', 'adgen']);
  await page.getByLabel('模型', { exact: true }).selectOption('chatglm2-6b:service-desk');
  await page.locator('.remark.warning').waitFor();
  await finish();
});

test('an input method’s Enter and Shift+Enter do not send, Enter does', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  const box = page.locator('.composer textarea');
  await box.fill('nihao');
  for (const sign of [{ isComposing: true }, { keyCode: 229 }]) {
    await box.evaluate((area, extra) => area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...extra })), sign);
  }
  await box.press('Shift+Enter');
  await page.waitForTimeout(150);
  assert.equal(mock.asked.length, 0);
  assert.equal(await box.inputValue(), 'nihao\n');
  await box.press('Enter');
  await settled(page);
  assert.equal(mock.asked.length, 1);
  await finish();
});

test('sampling: official defaults are sent, changes are kept and can be reset', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await ask(page, '一');
  await settled(page);
  const { temperature, top_p, top_k, repetition_penalty, max_tokens, seed } = mock.asked[0];
  assert.deepEqual([temperature, top_p, top_k, repetition_penalty, max_tokens, seed], [0.8, 0.8, 50, 1, undefined, undefined]);
  await page.getByLabel('温度', { exact: true }).fill('0.3');
  await page.getByLabel('最大生成长度，数值').fill('300');
  await page.getByLabel('随机种子', { exact: true }).fill('7');
  await page.getByLabel('随机种子', { exact: true }).press('Tab');
  await page.reload();
  await ask(page, '二');
  await page.waitForFunction(() => document.querySelectorAll('.answer').length === 2);
  await settled(page);
  assert.deepEqual([mock.asked[1].temperature, mock.asked[1].max_tokens, mock.asked[1].seed], [0.3, 300, 7]);
  await page.getByRole('switch', { name: '贪心解码' }).check();
  assert.equal(await page.getByLabel('温度', { exact: true }).isDisabled(), true);
  await ask(page, '三');
  await page.waitForFunction(() => document.querySelectorAll('.answer').length === 3);
  await settled(page);
  assert.deepEqual([mock.asked[2].temperature, mock.asked[2].top_k], [0, undefined]);
  await page.getByRole('button', { name: '恢复默认' }).click();
  assert.equal(await page.getByLabel('温度', { exact: true }).inputValue(), '0.8');
  await finish();
});

test('the language follows the browser, can be switched and stays', async () => {
  const { page, finish } = await openPage(browser, { locale: 'en-GB' });
  await page.getByRole('link', { name: 'Compare' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.locator('.composer textarea').fill('half written');
  await page.getByRole('button', { name: '切换到中文' }).click();
  await page.getByRole('link', { name: '对比' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  assert.equal(await page.locator('.composer textarea').inputValue(), 'half written');
  await page.reload();
  await page.getByRole('link', { name: '对比' }).waitFor();
  await finish();
});

test('the theme follows the system, can be switched and stays', async () => {
  const { page, finish } = await openPage(browser, { colorScheme: 'dark' });
  const theme = () => page.locator('html').getAttribute('data-theme');
  await page.locator('.composer').waitFor();
  assert.equal(await theme(), 'dark');
  await page.getByRole('button', { name: '外观：跟随系统' }).click();
  assert.equal(await theme(), 'light');
  await page.reload();
  await page.getByRole('button', { name: '外观：浅色' }).click();
  assert.equal(await theme(), 'dark');
  await page.getByRole('button', { name: '外观：深色' }).click();
  await page.getByRole('button', { name: '外观：跟随系统' }).waitFor();
  await page.emulateMedia({ colorScheme: 'light' });
  await page.locator('html[data-theme="light"]').waitFor();
  await finish();
});

test('an overloaded server: the wait is shown and the question tried again by itself', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await page.locator('.composer').waitFor();
  mock.refuse = 1;
  await ask(page, '你好');
  await page.locator('.card.busy').waitFor();
  assert.match(await page.locator('.card.busy').textContent(), /the queue holds 64 requests/);
  assert.match(await page.locator('.countdown').textContent(), /秒后自动重试/);
  await answers(page).filter({ hasText: '你问的是' }).waitFor();
  assert.equal(mock.asked.length, 2);
  mock.refuse = 1;
  await ask(page, '再问');
  await page.getByRole('button', { name: '不再自动重试' }).click();
  await page.waitForTimeout(2600);
  assert.equal(mock.asked.length, 3);
  await page.getByRole('button', { name: '重试', exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('.card').length === 0);
  await settled(page);
  await finish();
});

test('errors: the server’s message, a failure in mid-stream and a lost connection keep what arrived', { skip: needsFakes }, async () => {
  const { page, finish } = await openPage(browser);
  await ask(page, '[refuse]');
  await page.getByText('temperature must be between 0 and 2, not 9').waitFor();
  for (const [question, message] of [['[error] 一', 'layer 17 gave logits'], ['[gone] 二', '回答中途断开']]) {
    await ask(page, question);
    const last = page.locator('.answer').last();
    await last.getByText(message).waitFor();
    assert.match(await last.locator('.markdown').textContent(), /^你问的是/);
    assert.match(await last.locator('.ending').textContent(), /连接中断/);
    await last.getByRole('button', { name: '重试' }).waitFor();
  }
  await ask(page, '[long]');
  await page.locator('.ending.cut', { hasText: '达到长度上限' }).waitFor();
  await ask(page, '[empty]');
  await page.getByText('（空回答）').waitFor();
  await finish();
});

test('a server with a key asks for it, refuses a wrong one and forgets it with the tab', { skip: needsFakes }, async () => {
  const { page, mock, url, finish } = await openPage(browser, { server: { key: 'right-key' } });
  const dialog = page.getByRole('dialog', { name: '需要访问密钥' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: '输入密钥' }).click();
  await dialog.getByLabel('API 密钥').fill('wrong');
  await page.keyboard.press('Enter');
  await dialog.getByText('服务不接受这个密钥').waitFor();
  await dialog.getByLabel('API 密钥').fill('right-key');
  await page.keyboard.press('Enter');
  await page.locator('.composer').waitFor();
  assert.deepEqual(await page.evaluate(() => [sessionStorage.getItem('glmtune.key'), localStorage.getItem('glmtune.key')]), ['"right-key"', null]);
  mock.key = 'new-key';
  await ask(page, '你好');
  await page.locator('.card.key').waitFor();
  await page.getByRole('button', { name: '输入密钥' }).click();
  await dialog.getByLabel('API 密钥').fill('new-key');
  await dialog.getByLabel(/在这台电脑上记住/).check();
  await dialog.getByRole('button', { name: '使用此密钥' }).click();
  await answers(page).filter({ hasText: '你问的是' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('glmtune.key')), '"new-key"');
  const other = await page.context().newPage();
  await other.goto(url);
  await other.locator('.composer').waitFor();
  await finish();
});

test('a server that is not there: the page says so and tries again', { skip: needsFakes }, async () => {
  const { page, mock, finish } = await openPage(browser);
  await page.locator('.composer').waitFor();
  mock.broken = true;
  await page.reload();
  await page.getByText('the disk does not answer').waitFor();
  await page.getByText(/秒后自动重试/).waitFor();
  mock.broken = false;
  await page.getByRole('button', { name: '重试' }).click();
  await page.locator('.composer').waitFor();
  await finish();
});
