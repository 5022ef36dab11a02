// What the stand-in server answers with.

export const hostileName = '"><img src=x onerror="window.broken=1"><script>window.broken=1</script>';

export const hostileAnswer = `<script>window.broken=1</script>

<img src="https://outside.invalid/pixel.png" onerror="window.broken=1">
<iframe src="https://outside.invalid/"></iframe><svg onload="window.broken=1"><style>*{display:none}</style>

![picture](https://outside.invalid/picture.png) [script](javascript:window.broken=1) [data](data:text/html,<script>window.broken=1</script>) [good](https://example.org/a?b=1) [mail](mailto:a@example.org)

<a href="javascript:window.broken=1" onclick="window.broken=1" style="position:fixed">click</a>

\`\`\`html" onmouseover="window.broken=1
<b onclick="window.broken=1">code</b>
\`\`\`

<form action="https://outside.invalid/"><input name=a><button>go</button></form>`;

const MARKDOWN = `当然可以。**注意：**下面的函数只适用于*整数*，复杂度为 \`O(√n)\`。

\`\`\`python
def is_prime(n: int) -> bool:
    """Return True if n is a prime number."""
    if n < 2:
        return False
    for d in range(2, int(n ** 0.5) + 1):
        if n % d == 0:
            return False
    return True
\`\`\`

### 要点

1. 小于 2 的数不是质数；
2. 只需试除到平方根；
3. 可以先排除偶数来**加快一倍**。

| n | 结果 |
|---:|---|
| 7 | 质数 |
| 9 | 合数 |

> 若要判断很多个数，请改用[埃氏筛法](https://zh.wikipedia.org/wiki/埃拉托斯特尼筛法)。`;

const BASE_ADVERT = '这是一款白色的牛仔布上衣，风格简约，适合日常穿着。\n\n**特点：**\n\n- 材质：牛仔布，耐穿透气\n- 颜色：白色，百搭清爽\n- 风格：简约大方\n\n希望这段介绍对您有帮助！';
const TUNED_ADVERT = '简约而不简单的牛仔外套，白色的衣身十分百搭。衣身多处有做旧破洞设计，打破单调乏味，增加一丝造型看点。衣身后背处有趣味刺绣装饰，丰富层次感，彰显别样时尚。';
const LORA_ADVERT = '这款牛仔上衣采用优质的牛仔面料制成，手感舒适，耐磨耐穿。清爽的白色，干净利落，配合简约的版型，轻松穿出随性的时尚气息。';

export function models() {
  return [
    { id: 'chatglm2-6b', adapter: null },
    { id: 'chatglm2-6b:adgen', adapter: { name: 'adgen', kind: 'P-Tuning v2 prefix', turns: 'single', source_prefix: '', warning: null } },
    { id: 'chatglm2-6b:adgen-lora', adapter: { name: 'adgen-lora', kind: 'LoRA', turns: 'single', source_prefix: '', warning: null } },
    { id: 'chatglm2-6b:service-desk', adapter: { name: 'service-desk', kind: 'LoRA', turns: 'history', source_prefix: '', warning: 'trained on another base (chatglm3-6b): answers may be poor' } },
  ];
}

/** The answer text to a request. */
export function answerFor({ model, messages }) {
  const question = messages.at(-1).content;
  if (question.includes('[hostile]')) return hostileAnswer;
  if (question.includes('[history]')) return `messages: ${messages.length}`;
  if (question.includes('[slow]')) return '慢慢地，一个字一个字地写出来。'.repeat(12);
  if (question.includes('[empty]')) return '';
  if (question.includes('#')) return model.endsWith(':adgen') ? TUNED_ADVERT : model.endsWith('-lora') ? LORA_ADVERT : BASE_ADVERT;
  if (/质数|prime|markdown/i.test(question)) return MARKDOWN;
  return `你问的是“${question.slice(0, 40)}”。这是 ${model} 的回答，用来看看页面怎样显示一段普通的文字。`;
}

export function runList(now = Math.floor(Date.now() / 1000)) {
  return [
    { id: 'adgen-ptuning', state: 'running', step: 1240, max_steps: 3000, loss: 3.41, updated: now - 3 },
    { id: 'adgen-lora', state: 'complete', step: 3000, max_steps: 3000, loss: 3.02, updated: now - 7300 },
    { id: 'first try/lr 2e-2', state: 'stopped', step: 300, max_steps: 3000, loss: null, updated: now - 200000 },
  ];
}

const wobble = (step) => Math.sin(step * 1.7) * 0.12 + Math.sin(step * 0.37) * 0.09 + Math.cos(step * 7.1) * 0.07;

const SAMPLES = [
  { prompt: '类型#上衣*材质#牛仔布*颜色#白色*风格#简约*图案#刺绣*衣样式#外套*衣款式#破洞', label: TUNED_ADVERT, predict: LORA_ADVERT },
  { prompt: '类型#裙*材质#网纱*颜色#粉红色*图案#线条*图案#刺绣*裙腰型#高腰*裙长#连衣裙*裙袖长#短袖*裙领型#圆领', label: '这款连衣裙采用粉红色的网纱面料，圆领短袖，高腰线条显得修长。', predict: '粉红色的网纱连衣裙，精致的刺绣与线条，高腰的剪裁衬托出优雅的身形。' },
  { prompt: null, label: '<b>label</b>', predict: '<img src=x onerror="window.broken=1">' },
];

/** The detail of a run; a running one moves on with every look. */
export function runDetail(run, tick) {
  const running = run.state === 'running';
  const step = Math.min(run.max_steps, run.step + (running ? tick * 10 : 0));
  const train = [];
  for (let at = 10; at <= step; at += 10) train.push({ step: at, loss: 2.9 + 2.6 * Math.exp(-at / 420) + wobble(at), learning_rate: 0.02 * (1 - at / run.max_steps) });
  const evaluation = [];
  for (let at = 200; at <= step; at += 200) evaluation.push({ step: at, loss: 3.15 + 2.3 * Math.exp(-at / 430) });
  const checkpoints = [];
  for (let at = 500; at <= step; at += 500) {
    checkpoints.push({
      name: `checkpoint-${at}`, step: at, loss: 2.9 + 2.6 * Math.exp(-at / 420), eval_loss: 3.15 + 2.3 * Math.exp(-at / 430),
      scores: { 'predict_rouge-l': 20 + at / 500, 'predict_bleu-4': 6 + at / 900 },
      samples: Array.from({ length: 23 }, (_, index) => SAMPLES[index % SAMPLES.length]),
    });
  }
  return {
    id: run.id, state: run.state, step, max_steps: run.max_steps, epoch: step / 1790, eta_seconds: running ? (run.max_steps - step) * 2.4 : null,
    samples_per_second: 6.67, learning_rate: 0.02 * (1 - step / run.max_steps), train, eval: evaluation,
    scores: run.state === 'complete' ? { 'predict_rouge-1': 31.2, 'predict_rouge-2': 7.1, 'predict_rouge-l': 25.1, 'predict_bleu-4': 8.03 } : {},
    checkpoints, samples: [],
    configuration: {
      method: 'prefix', base: 'chatglm2-6b', quantization_bit: 4, pre_seq_len: 128, learning_rate: 0.02, max_steps: run.max_steps,
      per_device_train_batch_size: 1, gradient_accumulation_steps: 16, max_source_length: 64, max_target_length: 128,
      data: { train_file: 'AdvertiseGen/train.json', validation_file: 'AdvertiseGen/dev.json', prompt_column: 'content', response_column: 'summary', rows: 114599 },
      optimizer: { name: 'adamw', betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0 }, seed: 42, note: '<script>window.broken=1</script>',
    },
  };
}
