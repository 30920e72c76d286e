import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseBounds, parseClip } from "../../lib/api/gradients.js";
import {
  constant,
  encodeInitializer,
  normal,
  parseInitializer,
  truncatedNormal,
  unchangeableInitializer,
  uniform,
  zeros,
} from "../../lib/api/initializers.js";
import {
  adagrad,
  adam,
  adamW,
  checkLearningRate,
  encodeOptimizer,
  ftrl,
  needsStep,
  parseOptimizer,
  rowWiseAdagrad,
  sgd,
  stateFloats,
  unchangeable,
} from "../../lib/api/optimizers.js";
import { EmbershardError } from "../../lib/base/errors.js";
import { FLAGS, OPTIMIZERS } from "../../lib/kernel/programs.js";

/** The message of the INVALID_OPTIONS that `call` throws. */
function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.instance(error, EmbershardError);
    assert.is((error as EmbershardError).code, "INVALID_OPTIONS");
    return (error as EmbershardError).message;
  }
  throw new Error("nothing was refused");
}

const learningRate = 0.1;
const definitions = [
  sgd({ learningRate }),
  sgd({ learningRate, momentum: 0.9, nesterov: true, decay: 0.1, decayKind: "decoupled" }),
  adagrad({ learningRate, eps: 1e-6 }),
  rowWiseAdagrad({ learningRate }),
  adam({ learningRate, step: "table" }),
  adamW({ learningRate }),
  ftrl({ learningRate, lambda1: 1 }),
];
const initializers = [zeros(), constant(3), uniform(-1, 1), normal(0, 1), truncatedNormal(0, 0.1)];

test("a definition is frozen and survives JSON", () => {
  for (const definition of definitions) {
    assert.ok(Object.isFrozen(definition));
    assert.equal(parseOptimizer(JSON.parse(JSON.stringify(definition))), definition);
  }
  for (const definition of initializers) {
    assert.ok(Object.isFrozen(definition));
    assert.equal(parseInitializer(JSON.parse(JSON.stringify(definition))), definition);
  }
});

test("state is as long as the optimizer needs it", () => {
  assert.equal(
    definitions.map((definition) => stateFloats(definition, 10)),
    [0, 10, 10, 1, 20, 21, 20],
  );
  assert.is(stateFloats(sgd({ learningRate, momentum: 0.5 }), 3), 3);
  assert.equal(definitions.map(needsStep), [false, false, false, false, true, false, false]);
});

test("what an optimizer does not know or cannot use is refused in words", () => {
  const refusals: [() => unknown, string][] = [
    [
      () => adagrad({} as never),
      "adagrad: found learningRate undefined, expected a finite number > 0; it has no default",
    ],
    [() => adagrad(undefined as never), "adagrad: found undefined, expected an object of options"],
    [() => adagrad({ learningRate: 0 }), "adagrad: found learningRate 0, expected a finite number > 0"],
    [
      () => adagrad({ learningRate: Number.NaN }),
      "adagrad: found learningRate NaN, expected a finite number > 0",
    ],
    [
      () => adagrad({ learningRate: "1" as never }),
      'adagrad: found learningRate "1", expected a finite number > 0',
    ],
    [
      () => sgd({ learningRate: 1e39 }),
      "sgd: found learningRate 1e+39, expected a finite number > 0 that a float32 can hold",
    ],
    [
      () => adam({ learningRate, eps: 1e-50 }),
      "adam: found eps 1e-50, expected a finite number > 0 also after rounding to float32, where it is 0",
    ],
    [() => adam({ learningRate, beta1: 1 }), "adam: found beta1 1, expected a number in [0, 1)"],
    [
      () => adam({ learningRate, step: "global" as never }),
      'adam: found step "global", expected "row" or "table"',
    ],
    [
      () => adamW({ learningRate, decayKind: "l2" } as never),
      'adamW: found decayKind "l2", expected "decoupled"',
    ],
    [
      () => sgd({ learningRate, nesterov: 1 as never, momentum: 0.1 }),
      "sgd: found nesterov 1, expected true or false",
    ],
    [
      () => sgd({ learningRate, nesterov: true }),
      "sgd: found nesterov without momentum, expected a momentum > 0 with it",
    ],
    [
      () => ftrl({ learningRate, decay: 1 } as never),
      'ftrl: found unknown option "decay", expected learningRate, beta, lambda1, lambda2',
    ],
    [
      () => sgd({ learningRate, momentun: 1 } as never),
      'sgd: found unknown option "momentun", expected learningRate, momentum, nesterov, decay, decayKind',
    ],
    [
      () => uniform(1, 1),
      "uniform: found [1, 1), expected lower < upper, as float32 too; use constant for a single value",
    ],
    [() => uniform(Number.NEGATIVE_INFINITY, 1), "uniform: found lower -Infinity, expected a finite number"],
    [() => normal(0, -1), "normal: found std -1, expected a finite number >= 0"],
    [() => parseClip({ value: 0 }), "clip: found value 0, expected a finite number > 0"],
    [() => parseClip({ value: 1, norm: 1 }), 'clip: found unknown option "norm", expected value'],
    [() => parseClip(3), "clip: found 3, expected an object of options"],
    [() => parseBounds([1]), "bounds: found an array, expected [lower, upper]"],
    [() => parseBounds([1, -1]), "bounds: found [1, -1], expected lower <= upper"],
    [() => checkLearningRate(-1), "push: found learningRate -1, expected a finite number > 0"],
  ];
  for (const [call, message] of refusals) assert.is(refusal(call), message);
});

test("FTRL that could divide by zero is refused", () => {
  assert.match(
    refusal(() => ftrl({ learningRate, beta: 0 })),
    /found beta 0 and lambda2 0, expected one of them > 0/,
  );
  assert.is(ftrl({ learningRate, beta: 0, lambda2: 1 }).beta, 0);
});

test("something else in an optimizer's or initializer's place is refused", () => {
  for (const found of [
    undefined,
    null,
    1,
    "adagrad",
    [],
    {},
    { kind: "__proto__" },
    { kind: "rmsprop", learningRate },
  ]) {
    assert.match(
      refusal(() => parseOptimizer(found)),
      /^optimizer: found .*, expected what sgd, adagrad/,
    );
    assert.match(
      refusal(() => parseInitializer(found)),
      /^initializer: found .*, expected what zeros, constant/,
    );
  }
  assert.match(
    refusal(() => parseOptimizer({ kind: "adagrad", learningRate, extra: 1 })),
    /unknown option "extra"/,
  );
});

test("only the learning rate can change", () => {
  const stored = adam({ learningRate, beta1: 0.8 });
  assert.equal(unchangeable(stored, adam({ learningRate: 0.2, beta1: 0.8 })), []);
  assert.equal(unchangeable(stored, adam({ learningRate, beta2: 0.99 })), ["beta1", "beta2"]);
  assert.equal(unchangeable(sgd({ learningRate }), sgd({ learningRate, decay: 1 })), ["decay"]);
  assert.ok(unchangeable(stored, sgd({ learningRate })).includes("kind"));
  assert.equal(unchangeableInitializer(uniform(0, 1), uniform(0, 1)), []);
  assert.equal(unchangeableInitializer(uniform(0, 1), uniform(0, 2)), ["upper"]);
});

test("a definition, clip and bounds are encoded as the kernel reads them", () => {
  const program = encodeOptimizer(adamW({ learningRate, decay: 0.5, step: "table" }), {
    clip: { norm: 2 },
    bounds: [-1, 3],
  });
  assert.is(program.id, OPTIMIZERS.adamTableStep);
  assert.is(program.flags, FLAGS.clipNorm | FLAGS.bounds | FLAGS.decayDecoupled);
  assert.equal([...program.params.subarray(0, 5)], [0.9, 0.999, 1 - 0.9, 1 - 0.999, 1e-8]);
  assert.equal([...program.prepare], [2, 0.5, -1, 3]);
  assert.is(encodeOptimizer(sgd({ learningRate, decay: 1 })).flags, FLAGS.decayL2);
  assert.is(encodeOptimizer(sgd({ learningRate })).flags, 0);
  assert.is(encodeInitializer(uniform(-1, 0)).params[2], -(2 ** -149));
  assert.is(encodeInitializer(uniform(0, 1)).params[2], 1 - 2 ** -24);
  assert.is(encodeInitializer(uniform(-2, -1)).params[2], -(1 + 2 ** -23));
});

test.run();
