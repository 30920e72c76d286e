import { instantiateKernel, type KernelInstance } from "../../lib/kernel/kernel.js";
import {
  R_WEIGHTS,
  SCRATCH,
  T_DIM,
  T_FLAGS,
  T_INIT_PARAMS,
  T_INITIALIZER,
  T_OPT_PARAMS,
  T_OPTIMIZER,
  T_PREPARE,
  T_RECORD,
  T_SEED_LO,
  T_STATE,
  TABLES,
} from "../../lib/kernel/layout.js";
import { initialRow } from "../../lib/kernel/oracle/initializers.js";
import { applyGradient, initialState } from "../../lib/kernel/oracle/optimizers.js";
import type { OracleDefinition } from "../../lib/kernel/oracle/oracle-table.js";
import { stateFloatsOf } from "../../lib/kernel/programs.js";

/** What is under law: the arithmetic of rows, without index, pages and log. */
export interface Subject {
  readonly name: string;
  initialRow(key: bigint): Float32Array;
  initialState(): Float32Array;
  /** Applies gradients f32[n * dim] to n distinct rows, in place. */
  apply(rows: readonly Row[], gradients: Float32Array, learningRate: number, step: number): void;
}

export interface Row {
  readonly weights: Float32Array;
  readonly state: Float32Array;
}

export function oracleSubject(definition: OracleDefinition): Subject {
  const { optimizer, initializer, seed, dim } = definition;
  return {
    name: "oracle",
    initialRow: (key) => initialRow(initializer, seed, key, dim),
    initialState: () => initialState(optimizer, dim),
    apply(rows, gradients, learningRate, step) {
      rows.forEach(({ weights, state }, i) => {
        const gradient = gradients.subarray(i * dim, (i + 1) * dim);
        applyGradient(optimizer, weights, state, gradient, learningRate, step);
      });
    },
  };
}

let instance: KernelInstance | undefined;

const POSITIONS = SCRATCH;
/** Not a multiple of 16: gradients may lie anywhere. */
const GRADIENTS = SCRATCH + 0x1_0004;
const RECORDS = SCRATCH + 0x80_0000;
const GUARD = 0xab;

/** The kernel, over rows laid out as an arena does it; what lies around weights and state is watched. */
export function kernelSubject(definition: OracleDefinition): Subject {
  instance ??= instantiateKernel(64 << 20);
  const { exports, memory } = instance;
  const { dim, optimizer } = definition;
  const data = new DataView(memory.buffer);
  const floats = stateFloatsOf(optimizer, dim);
  const used = R_WEIGHTS + 4 * (dim + floats);
  const stride = (used + 7) & ~7;

  const describeTable = () => {
    data.setUint32(TABLES + T_DIM, dim, true);
    data.setUint32(TABLES + T_STATE, floats, true);
    data.setUint32(TABLES + T_RECORD, stride, true);
    data.setBigUint64(TABLES + T_SEED_LO, definition.seed, true);
    data.setUint32(TABLES + T_OPTIMIZER, optimizer.id, true);
    data.setUint32(TABLES + T_INITIALIZER, definition.initializer.id, true);
    data.setUint32(TABLES + T_FLAGS, optimizer.flags, true);
    optimizer.params.forEach((x, i) => void data.setFloat64(TABLES + T_OPT_PARAMS + 8 * i, x, true));
    definition.initializer.params.forEach(
      (x, i) => void data.setFloat64(TABLES + T_INIT_PARAMS + 8 * i, x, true),
    );
    optimizer.prepare.forEach((x, i) => void data.setFloat64(TABLES + T_PREPARE + 8 * i, x, true));
  };
  const floatsAt = (at: number, count: number) => new Float32Array(memory.buffer, at, count);

  return {
    name: "kernel",
    initialRow(key) {
      describeTable();
      exports.initialRow(TABLES, key, RECORDS);
      return floatsAt(RECORDS, dim).slice();
    },
    initialState() {
      describeTable();
      exports.initialState(TABLES, RECORDS);
      return floatsAt(RECORDS, floats).slice();
    },
    apply(rows, gradients, learningRate, step) {
      describeTable();
      const bytes = new Uint8Array(memory.buffer, RECORDS, stride * rows.length + 64).fill(GUARD);
      // Positions run backwards, so that order in memory and order of rows differ.
      const at = (i: number) => RECORDS + (rows.length - 1 - i) * stride;
      rows.forEach(({ weights, state }, i) => {
        data.setUint32(POSITIONS + 4 * i, at(i) >>> 3, true);
        floatsAt(at(i) + R_WEIGHTS, dim).set(weights);
        floatsAt(at(i) + R_WEIGHTS + 4 * dim, floats).set(state);
      });
      floatsAt(GRADIENTS, gradients.length).set(gradients);
      exports.applyRows(TABLES, POSITIONS, GRADIENTS, rows.length, learningRate, step);
      rows.forEach(({ weights, state }, i) => {
        weights.set(floatsAt(at(i) + R_WEIGHTS, dim));
        state.set(floatsAt(at(i) + R_WEIGHTS + 4 * dim, floats));
        bytes.fill(GUARD, at(i) - RECORDS + R_WEIGHTS, at(i) - RECORDS + used);
      });
      if (!bytes.every((byte) => byte === GUARD))
        throw new Error("bytes around weights and state have changed");
      const given = floatsAt(GRADIENTS, gradients.length);
      if (!gradients.every((g, i) => Object.is(g, given[i]))) throw new Error("the gradients have changed");
    },
  };
}
