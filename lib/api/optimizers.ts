import { EmbershardError } from "../base/errors.js";
import { FLAGS, OPTIMIZERS, type OptimizerProgram, stateFloatsOf } from "../kernel/programs.js";
import { encodeGradientOptions, type GradientOptions } from "./gradients.js";
import { describe, differingFields, fraction, notNegative, OptionReader, positive } from "./option-reader.js";

interface Decaying {
  /** Rate, 0 for none. Lazy: it acts on the rows of a push and when they are pushed. */
  readonly decay: number;
  /** "l2" adds decay * w to the gradient; "decoupled" multiplies w by 1 - learningRate * decay. */
  readonly decayKind: "l2" | "decoupled";
}

export interface SgdDefinition extends Decaying {
  readonly kind: "sgd";
  readonly learningRate: number;
  /** 0 for none, and then rows have no state. */
  readonly momentum: number;
  readonly nesterov: boolean;
}

export interface AdagradDefinition extends Decaying {
  readonly kind: "adagrad" | "rowWiseAdagrad";
  readonly learningRate: number;
  readonly eps: number;
  readonly initialAccumulator: number;
}

export interface AdamDefinition extends Decaying {
  readonly kind: "adam" | "adamW";
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** What counts: updates of the row (kept in its state), or the step given with the push. */
  readonly step: "row" | "table";
}

export interface FtrlDefinition {
  readonly kind: "ftrl";
  /** The paper's alpha. */
  readonly learningRate: number;
  readonly beta: number;
  readonly lambda1: number;
  readonly lambda2: number;
}

/** A frozen plain object that JSON can carry: what a table's manifest stores. */
export type OptimizerDefinition = SgdDefinition | AdagradDefinition | AdamDefinition | FtrlDefinition;

type OptionsOf<D> = { readonly learningRate: number } & Partial<Omit<D, "kind" | "learningRate">>;
export type SgdOptions = OptionsOf<SgdDefinition>;
export type AdagradOptions = OptionsOf<AdagradDefinition>;
/** Adam's decay is L2. */
export type AdamOptions = OptionsOf<Omit<AdamDefinition, "decayKind">>;
export type FtrlOptions = OptionsOf<FtrlDefinition>;

/**
 * Stochastic gradient descent, optionally with momentum (Polyak 1964; as torch.optim.SGD, dampening 0) or Nesterov's.
 * State: none, or f32[dim] with momentum. @throws INVALID_OPTIONS
 */
export function sgd(options: SgdOptions): SgdDefinition {
  const read = new OptionReader("sgd", options);
  const definition: SgdDefinition = {
    kind: "sgd",
    learningRate: read.number("learningRate", positive),
    momentum: read.number("momentum", fraction, 0),
    nesterov: read.boolean("nesterov", false),
    ...readDecay(read),
  };
  read.end();
  if (definition.nesterov && definition.momentum === 0) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      "sgd: found nesterov without momentum, expected a momentum > 0 with it",
    );
  }
  return Object.freeze(definition);
}

/** Adagrad (Duchi, Hazan and Singer 2011; as torch.optim.Adagrad). State: f32[dim]. @throws INVALID_OPTIONS */
export function adagrad(options: AdagradOptions): AdagradDefinition {
  return readAdagrad("adagrad", options);
}

/**
 * Adagrad with one accumulator a row, of the mean of squares (as FBGEMM's and TorchRec's EXACT_ROWWISE_ADAGRAD).
 * State: f32[1]. @throws INVALID_OPTIONS
 */
export function rowWiseAdagrad(options: AdagradOptions): AdagradDefinition {
  return readAdagrad("rowWiseAdagrad", options);
}

/** Adam (Kingma and Ba 2015; as torch.optim.Adam). State: f32[2 dim], one more with step "row". @throws INVALID_OPTIONS */
export function adam(options: AdamOptions): AdamDefinition {
  return readAdam("adam", options);
}

/** Adam with decoupled decay, 0.01 unless given (Loshchilov and Hutter 2019; as torch.optim.AdamW). @throws INVALID_OPTIONS */
export function adamW(options: AdamOptions): AdamDefinition {
  return readAdam("adamW", options);
}

/** FTRL-proximal (McMahan et al. 2013, algorithm 1). State: f32[2 dim]. @throws INVALID_OPTIONS */
export function ftrl(options: FtrlOptions): FtrlDefinition {
  const read = new OptionReader("ftrl", options);
  const definition: FtrlDefinition = {
    kind: "ftrl",
    learningRate: read.number("learningRate", positive),
    beta: read.number("beta", notNegative, 1),
    lambda1: read.number("lambda1", notNegative, 0),
    lambda2: read.number("lambda2", notNegative, 0),
  };
  read.end();
  if (definition.beta === 0 && definition.lambda2 === 0) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      "ftrl: found beta 0 and lambda2 0, expected one of them > 0: a gradient so small that its square is 0 would divide by zero",
    );
  }
  return Object.freeze(definition);
}

/** Reads a definition back from JSON, or checks one that a caller wrote by hand. @throws INVALID_OPTIONS */
export function parseOptimizer(json: unknown): OptimizerDefinition {
  const kind = typeof json === "object" && json !== null ? (json as { kind?: unknown }).kind : undefined;
  switch (kind) {
    case "sgd":
      return sgd(withoutKind(json) as SgdOptions);
    case "adagrad":
    case "rowWiseAdagrad":
      return readAdagrad(kind, withoutKind(json) as AdagradOptions);
    case "adam":
    case "adamW":
      return readAdam(kind, withoutKind(json) as AdamOptions);
    case "ftrl":
      return ftrl(withoutKind(json) as FtrlOptions);
    default:
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `optimizer: found ${kind === undefined ? describe(json) : describe(kind)}, expected what sgd, adagrad, rowWiseAdagrad, adam, adamW or ftrl returns`,
      );
  }
}

/** The float32s of state behind each row's weights. */
export function stateFloats(definition: OptimizerDefinition, dim: number): number {
  return stateFloatsOf(encodeOptimizer(definition), dim);
}

/** Whether pushes to a table of this optimizer must give a step >= 1. */
export function needsStep(definition: OptimizerDefinition): boolean {
  return "step" in definition && definition.step === "table";
}

/** Checks a push's own learning rate; what the kernel gets is its float32. @throws INVALID_OPTIONS */
export function checkLearningRate(learningRate: unknown): number {
  const read = new OptionReader("push", { learningRate });
  return read.number("learningRate", positive);
}

/**
 * The fields, other than the learning rate, in which a definition differs from the stored one: empty where the table can
 * be opened with it.
 */
export function unchangeable(stored: OptimizerDefinition, wanted: OptimizerDefinition): string[] {
  return differingFields(stored, wanted, ["learningRate"]);
}

/** What the kernel is told. Computed in float64; the kernel rounds each number to float32 once. */
export function encodeOptimizer(
  definition: OptimizerDefinition,
  gradients: GradientOptions = {},
): OptimizerProgram {
  const params = new Float64Array(16);
  params.set(paramsOf(definition));
  const { flags, prepare } = encodeGradientOptions(gradients);
  const decay = "decay" in definition ? definition.decay : 0;
  prepare[1] = decay;
  return { id: idOf(definition), flags: flags | (decay === 0 ? 0 : decayFlag(definition)), params, prepare };
}

function idOf(definition: OptimizerDefinition): number {
  switch (definition.kind) {
    case "sgd":
      if (definition.momentum === 0) return OPTIMIZERS.sgd;
      return definition.nesterov ? OPTIMIZERS.sgdNesterov : OPTIMIZERS.sgdMomentum;
    case "adam":
    case "adamW":
      return definition.step === "row" ? OPTIMIZERS.adamRowStep : OPTIMIZERS.adamTableStep;
    default:
      return OPTIMIZERS[definition.kind];
  }
}

function paramsOf(definition: OptimizerDefinition): number[] {
  switch (definition.kind) {
    case "sgd":
      return [definition.momentum];
    case "adagrad":
    case "rowWiseAdagrad":
      return [definition.eps, definition.initialAccumulator];
    case "adam":
    case "adamW":
      return [definition.beta1, definition.beta2, 1 - definition.beta1, 1 - definition.beta2, definition.eps];
    case "ftrl":
      return [definition.beta, definition.lambda1, definition.lambda2];
  }
}

function decayFlag(definition: OptimizerDefinition): number {
  return "decayKind" in definition && definition.decayKind === "decoupled"
    ? FLAGS.decayDecoupled
    : FLAGS.decayL2;
}

function readDecay(read: OptionReader): Decaying {
  return {
    decay: read.number("decay", notNegative, 0),
    decayKind: read.choice("decayKind", ["l2", "decoupled"], "l2"),
  };
}

function readAdagrad(kind: AdagradDefinition["kind"], options: AdagradOptions): AdagradDefinition {
  const read = new OptionReader(kind, options);
  const definition: AdagradDefinition = {
    kind,
    learningRate: read.number("learningRate", positive),
    eps: read.number("eps", positive, kind === "adagrad" ? 1e-10 : 1e-8),
    initialAccumulator: read.number("initialAccumulator", notNegative, 0),
    ...readDecay(read),
  };
  read.end();
  return Object.freeze(definition);
}

/** The kind fixes how decay acts; a stored definition says it all the same, so it is read and must agree. */
function readAdam(kind: AdamDefinition["kind"], options: AdamOptions): AdamDefinition {
  const read = new OptionReader(kind, options);
  const decayKind = kind === "adam" ? "l2" : "decoupled";
  const definition: AdamDefinition = {
    kind,
    learningRate: read.number("learningRate", positive),
    beta1: read.number("beta1", fraction, 0.9),
    beta2: read.number("beta2", fraction, 0.999),
    eps: read.number("eps", positive, 1e-8),
    step: read.choice("step", ["row", "table"], "row"),
    decay: read.number("decay", notNegative, kind === "adam" ? 0 : 0.01),
    decayKind: read.choice("decayKind", [decayKind], decayKind),
  };
  read.end();
  return Object.freeze(definition);
}

function withoutKind(json: unknown): object {
  const { kind: _, ...options } = json as { kind: unknown };
  return options;
}
