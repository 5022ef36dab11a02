// Every sentence of the page, Chinese first, English second.
import { loadText, saveText } from './storage.js';

const STRINGS = {
  // Shell
  'skip': ['跳到正文', 'Skip to content'],
  'views': ['页面', 'Views'],
  'view.chat': ['对话', 'Chat'],
  'view.compare': ['对比', 'Compare'],
  'view.runs': ['训练', 'Runs'],
  'language.switch': ['Switch to English', '切换到中文'],
  'language.other': ['EN', '中'],
  'theme.system': ['外观：跟随系统', 'Theme: system'],
  'theme.light': ['外观：浅色', 'Theme: light'],
  'theme.dark': ['外观：深色', 'Theme: dark'],
  'close': ['关闭', 'Close'],
  'cancel': ['取消', 'Cancel'],
  'retry': ['重试', 'Try again'],
  'loading': ['正在加载…', 'Loading…'],
  'storage.full': ['浏览器存储空间已满或被禁用，新的内容只保留到关闭页面为止。可以删除一些旧对话。', 'The browser’s storage is full or blocked: what is new is kept only until this page is closed. Deleting old conversations helps.'],

  // Connection and key
  'start.title': ['正在连接服务…', 'Connecting to the server…'],
  'start.failed': ['还没有连上服务', 'The server cannot be reached yet'],
  'start.again': ['{seconds} 秒后自动重试', 'Trying again in {seconds} s'],
  'key.title': ['需要访问密钥', 'An access key is needed'],
  'key.text': ['这个服务设置了密钥。请输入启动服务时设定的 API 密钥。', 'This server is protected. Enter the API key it was started with.'],
  'key.label': ['API 密钥', 'API key'],
  'key.remember': ['在这台电脑上记住（否则关闭标签页后忘记）', 'Remember on this computer (otherwise until the tab is closed)'],
  'key.use': ['使用此密钥', 'Use this key'],
  'key.wrong': ['服务不接受这个密钥，请检查后再试。', 'The server does not accept this key. Check it and try again.'],
  'key.empty': ['请输入密钥。', 'Enter the key.'],
  'key.bad': ['密钥里有空格以外的不可见字符或非英文字符，请重新复制。', 'The key holds characters that no key can have. Copy it again.'],
  'key.change': ['更换密钥', 'Change the key'],

  // Models
  'model': ['模型', 'Model'],
  'model.base': ['基座模型', 'Base model'],
  'model.base.short': ['基座', 'base'],
  'model.adapters': ['微调', 'Fine-tuned'],
  'kind.prefix': ['P-Tuning v2', 'P-Tuning v2'],
  'model.single': ['这个微调模型只用单轮问答训练：每个问题单独回答，不带之前的对话。', 'This adapter was trained on single questions: each question is answered on its own, without the conversation before it.'],
  'model.prefix': ['每个问题前会自动加上：', 'Put before every question: '],
  'model.gone': ['服务上已没有 {model}，改用 {other}。', '{model} is no longer on the server; {other} is used.'],
  'model.facts': ['{variant} · {parameters} 参数 · {layers} 层', '{variant} · {parameters} parameters · {layers} layers'],
  'model.held': ['权重 {held}，计算 {compute}', 'Weights {held}, computed in {compute}'],

  // Chat
  'chat.title': ['对话', 'Chat'],
  'chat.list': ['全部对话', 'Conversations'],
  'chat.new': ['新对话', 'New conversation'],
  'chat.untitled': ['新对话', 'New conversation'],
  'chat.none': ['还没有对话。', 'No conversations yet.'],
  'chat.delete': ['删除对话：{title}', 'Delete conversation: {title}'],
  'chat.delete.title': ['删除这个对话？', 'Delete this conversation?'],
  'chat.delete.text': ['“{title}”只保存在这个浏览器里，删除后无法恢复。', '“{title}” is kept only in this browser and cannot be brought back.'],
  'chat.delete.do': ['删除', 'Delete'],
  'chat.clear': ['清空对话', 'Clear'],
  'chat.clear.title': ['清空这个对话的全部消息？', 'Clear all messages of this conversation?'],
  'chat.clear.text': ['清空后无法恢复。', 'They cannot be brought back.'],
  'chat.clear.do': ['清空', 'Clear'],
  'chat.log': ['对话内容', 'Messages'],
  'chat.hello': ['今天想聊点什么？', 'What would you like to ask?'],
  'chat.hello.text': ['回答由这台机器上的模型生成，对话只保存在你的浏览器里。', 'Answers come from the model on this machine; conversations stay in your browser.'],
  'chat.try.1': ['用三句话介绍一下你自己。', 'Introduce yourself in three sentences.'],
  'chat.try.2': ['类型#上衣*材质#牛仔布*颜色#白色*风格#简约', 'Write a short advert for a white denim jacket.'],
  'chat.try.3': ['写一个 Python 函数，判断一个数是不是质数。', 'Write a Python function that tells whether a number is prime.'],
  'chat.try.4': ['把“学而时习之”翻译成英文并解释。', 'Explain the proverb “learn and practise often”.'],
  'chat.question': ['你的问题', 'Your question'],
  'chat.you': ['你', 'You'],
  'chat.placeholder': ['输入问题，Enter 发送，Shift+Enter 换行', 'Ask something. Enter sends, Shift+Enter makes a new line'],
  'chat.placeholder.short': ['输入问题…', 'Ask something…'],
  'chat.send': ['发送', 'Send'],
  'chat.stop': ['停止', 'Stop'],
  'chat.regenerate': ['重新生成', 'Regenerate'],
  'chat.edit': ['修改问题', 'Edit the question'],
  'chat.edit.send': ['重新发送', 'Send again'],
  'chat.edit.note': ['重新发送会替换此后的消息。', 'Sending again replaces the messages after it.'],
  'chat.copy': ['复制', 'Copy'],
  'chat.copy.answer': ['复制回答', 'Copy the answer'],
  'chat.copy.question': ['复制问题', 'Copy the question'],
  'chat.copied': ['已复制', 'Copied'],
  'chat.copy.failed': ['浏览器不允许复制', 'The browser does not allow copying'],
  'chat.latest': ['回到最新', 'Go to the latest'],
  'chat.own': ['第 {number} 问 · 单独回答', 'Question {number} · answered on its own'],
  'chat.busy': ['正在回答，请先停止或等待完成。', 'An answer is being written: stop it or wait for its end.'],

  // Answers
  'answer.of': ['{model} 的回答', 'Answer of {model}'],
  'answer.waiting': ['等待模型…', 'Waiting for the model…'],
  'answer.begins': ['开始回答', 'The answer begins'],
  'answer.done': ['回答完毕', 'The answer is complete'],
  'answer.stopped': ['已停止', 'Stopped'],
  'answer.length': ['达到长度上限，回答被截断；可调大“最大生成长度”。', 'Cut at the token limit; raise “Max tokens” for more.'],
  'answer.repetition': ['检测到重复，已停止。', 'Stopped because the text repeated itself.'],
  'answer.empty': ['（空回答）', '(empty answer)'],
  'answer.cut': ['连接中断，以下是中断前收到的内容', 'The connection was lost; this is what had arrived'],
  'answer.stats': ['{tokens} 词元 · {seconds} 秒 · {rate} 词元/秒', '{tokens} tokens · {seconds} s · {rate} tokens/s'],
  'answer.seconds': ['{seconds} 秒', '{seconds} s'],
  'code.text': ['代码', 'code'],
  'code.copy': ['复制代码', 'Copy code'],
  'code.block': ['代码块', 'Code block'],
  'image.dropped': ['[图片：{text}]', '[image: {text}]'],

  // Errors: a title and what to do, by kind
  'error.network': ['连不上服务', 'The server cannot be reached'],
  'error.network.do': ['请确认 glmtune serve 仍在运行、网络正常，然后重试。', 'Check that glmtune serve is running and the network is up, then try again.'],
  'error.key': ['密钥无效或缺失', 'The key is missing or not accepted'],
  'error.key.do': ['请输入有效的 API 密钥。', 'Enter a valid API key.'],
  'error.busy': ['服务繁忙，队列已满', 'The server is busy, its queue is full'],
  'error.busy.do': ['稍等片刻会自动重试。', 'It is tried again by itself in a moment.'],
  'error.stopping': ['服务正在启动或关闭', 'The server is starting or shutting down'],
  'error.stopping.do': ['等它就绪后再试。', 'Try again when it is ready.'],
  'error.timeout': ['超过了服务的时限', 'The server’s time limit was reached'],
  'error.timeout.do': ['可以缩短问题、调小“最大生成长度”，或稍后再试。', 'Ask for less, lower “Max tokens”, or try later.'],
  'error.request': ['服务拒绝了这个请求', 'The server refused the request'],
  'error.request.do': ['按服务给出的说明调整问题或采样参数。', 'Change the question or the sampling settings as the server says.'],
  'error.missing': ['找不到所要的模型或训练', 'The model or run was not found'],
  'error.missing.do': ['它可能已被卸载或移走，请选择另一个。', 'It may have been unloaded or moved; choose another.'],
  'error.server': ['服务出错', 'The server failed'],
  'error.server.do': ['可以重试；若反复出现，请查看服务日志。', 'Try again; if it happens repeatedly, look into the server’s log.'],
  'error.cut': ['回答中途断开', 'The connection broke in mid-answer'],
  'error.cut.do': ['已收到的内容已保留，可以重试。', 'What had arrived is kept. You can try again.'],
  'error.countdown': ['{seconds} 秒后自动重试', 'Trying again in {seconds} s'],
  'error.now': ['立即重试', 'Try now'],
  'error.wait': ['不再自动重试', 'Stop retrying'],
  'error.enterkey': ['输入密钥', 'Enter the key'],
  'error.says': ['服务的说明：', 'The server says: '],

  // Sampling
  'sampling': ['采样参数', 'Sampling'],
  'sampling.reset': ['恢复默认', 'Reset'],
  'sampling.official': ['{variant} 的官方默认值', 'Official defaults of {variant}'],
  'sampling.changed': ['已修改 {count} 项', '{count} changed'],
  'sampling.greedy': ['贪心解码', 'Greedy decoding'],
  'sampling.greedy.help': ['每步取概率最大的词，结果可复现', 'Always the most likely token: repeatable answers'],
  'sampling.temperature': ['温度', 'Temperature'],
  'sampling.temperature.help': ['越低越稳定，越高越多样', 'Lower is steadier, higher more varied'],
  'sampling.top_p': ['Top P', 'Top P'],
  'sampling.top_p.help': ['只从累计概率达到此值的词中选', 'Only tokens within this share of the probability'],
  'sampling.top_k': ['Top K', 'Top K'],
  'sampling.top_k.help': ['只从前 K 个词中选，0 为不限', 'Only the K most likely tokens, 0 for all'],
  'sampling.repetition_penalty': ['重复惩罚', 'Repetition penalty'],
  'sampling.repetition_penalty.help': ['大于 1 时减少重复', 'Above 1, what was said is less likely again'],
  'sampling.max_tokens': ['最大生成长度', 'Max tokens'],
  'sampling.max_tokens.help': ['自动：问题与回答合计不超过 {length} 词元', 'Auto: question and answer up to {length} tokens together'],
  'sampling.auto': ['自动', 'auto'],
  'sampling.seed': ['随机种子', 'Seed'],
  'sampling.seed.help': ['相同种子得到相同回答；留空则每次不同', 'The same seed gives the same answer; empty for a new one each time'],
  'sampling.seed.random': ['随机', 'random'],
  'sampling.seed.roll': ['取一个随机种子', 'Pick a seed'],
  'sampling.value': ['{name}，数值', '{name}, value'],

  // Compare
  'compare.title': ['微调前后对比', 'Before and after tuning'],
  'compare.text': ['同一个问题，由基座和微调模型并排回答，看看微调改变了什么。', 'One prompt, answered side by side by the base and by adapters: see what tuning changed.'],
  'compare.models': ['参与对比的模型', 'Models to compare'],
  'compare.before': ['微调前', 'Before tuning'],
  'compare.after': ['微调后', 'After tuning'],
  'compare.pick': ['至少选择一个模型。', 'Choose at least one model.'],
  'compare.lonely': ['这个服务目前只有基座。用 --adapter 名称=目录 启动即可加入微调模型对比。', 'This server has only the base. Start it with --adapter name=folder to compare tuned models.'],
  'compare.prompt': ['要对比的问题', 'Prompt to compare'],
  'compare.placeholder': ['输入一个问题，让所选模型同时回答', 'A prompt for all chosen models to answer'],
  'compare.run': ['对比', 'Compare'],
  'compare.round': ['问题：{prompt}', 'Prompt: {prompt}'],
  'compare.again': ['再比一次', 'Run again'],
  'compare.remove': ['移除这次对比', 'Remove this comparison'],
  'compare.try': ['试试这些问题', 'Try one of these'],
  'compare.results': ['对比结果', 'Results'],

  // Runs
  'runs.title': ['训练记录', 'Training runs'],
  'runs.list': ['训练列表', 'List of runs'],
  'runs.none': ['还没有训练记录', 'No training runs yet'],
  'runs.none.text': ['服务所看的目录中还没有训练输出。运行 glmtune train 后会出现在这里。', 'The folder the server looks at holds no training output yet. Runs of glmtune train appear here.'],
  'runs.off': ['没有开启训练视图', 'The runs view is not switched on'],
  'runs.off.text': ['启动服务时用 --runs_dir 指定训练输出目录，即可在这里查看曲线和样例。', 'Start the server with --runs_dir and a folder of training output to see curves and samples here.'],
  'runs.pick': ['选择一个训练查看详情。', 'Choose a run to see it.'],
  'runs.back': ['返回列表', 'Back to the list'],
  'runs.problem': ['部分训练读不出来：', 'Some runs could not be read: '],
  'runs.stale': ['暂时取不到新数据，显示的是 {time} 的内容。', 'New data cannot be fetched at the moment; this is from {time}.'],
  'state.running': ['训练中', 'Running'],
  'state.complete': ['已完成', 'Complete'],
  'state.stopped': ['已停止', 'Stopped'],
  'run.progress': ['进度', 'Progress'],
  'run.step': ['步数', 'Step'],
  'run.of': ['共 {most} 步 · {percent}%', 'of {most} · {percent}%'],
  'run.epoch': ['轮次', 'Epoch'],
  'run.loss': ['训练损失', 'Training loss'],
  'run.loss.short': ['损失', 'loss'],
  'run.eval': ['验证损失', 'Evaluation loss'],
  'run.best': ['最低 {loss}，第 {step} 步', 'lowest {loss} at step {step}'],
  'run.lr': ['学习率', 'Learning rate'],
  'run.speed': ['样本/秒', 'Samples/s'],
  'run.eta': ['剩余时间', 'Time left'],
  'run.curves': ['曲线', 'Curves'],
  'run.losscurve': ['损失曲线', 'Loss'],
  'run.lrcurve': ['学习率曲线', 'Learning rate'],
  'run.smooth': ['平滑', 'Smooth'],
  'run.smoothed': ['训练损失（平滑）', 'Training loss (smoothed)'],
  'run.nodata': ['还没有数据点。', 'No points yet.'],
  'run.scores': ['评分', 'Scores'],
  'run.checkpoints': ['检查点与样例', 'Checkpoints and samples'],
  'run.samples': ['生成样例', 'Sample generations'],
  'run.nosamples': ['没有样例。', 'No samples.'],
  'run.nocheckpoints': ['还没有保存检查点。', 'No checkpoint saved yet.'],
  'run.prompt': ['输入', 'Prompt'],
  'run.label': ['标准答案', 'Label'],
  'run.predict': ['模型输出', 'Prediction'],
  'run.more': ['再显示 {count} 条', 'Show {count} more'],
  'run.count': ['{count} 条样例', '{count} samples'],
  'run.config': ['配置', 'Configuration'],
  'run.config.search': ['搜索配置', 'Search the configuration'],
  'run.config.copy': ['复制 JSON', 'Copy JSON'],
  'run.config.none': ['没有匹配的配置项。', 'Nothing matches.'],
  'run.config.empty': ['没有记录配置。', 'No configuration was recorded.'],
  'run.config.found': ['{count} 项', '{count} entries'],
  'run.key': ['名称', 'Name'],
  'run.value': ['值', 'Value'],
  'chart.read': ['{title}：用左右方向键逐点读数', '{title}: arrow keys read the values'],
  'chart.at': ['第 {step} 步', 'step {step}'],
  'chart.table': ['以表格显示', 'Show as a table'],
  'chart.thinned': ['共 {all} 个点，表中显示 {shown} 个。', '{shown} of {all} points are listed.'],
};

let column = document.documentElement.lang.startsWith('zh') ? 0 : 1;

/** The string of a key in the language in use, with `{name}` filled from `values`. */
export function t(key, values = {}) {
  const text = STRINGS[key]?.[column] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

/** True when the key exists, for keys built from the server's words. */
export function known(key) {
  return key in STRINGS;
}

/** `zh-CN` or `en`. */
export function language() {
  return column === 0 ? 'zh-CN' : 'en';
}

/** Change to the other language and remember it. */
export function switchLanguage() {
  column = 1 - column;
  document.documentElement.lang = language();
  saveText('language', language());
}

/** Whether the user has chosen a language, rather than the browser. */
export function languageChosen() {
  return loadText('language') !== null;
}
