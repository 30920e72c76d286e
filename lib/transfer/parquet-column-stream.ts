import { EmbershardError } from "../base/errors.js";
import { ELEMENT_BYTES, type ElementType } from "./element-types.js";
import type { SourceFile } from "./local-file.js";
import type { ParquetColumn } from "./parquet-footer.js";
import { type ChunkState, decodePage, PageFault } from "./parquet-pages.js";

/** A page's header is read with so many bytes, and once more with the greater number where it is longer. */
const HEADER_BYTES = [4096, 1 << 20] as const;

/** One column from its first row to its last, as the plain bytes of its values. */
export class ParquetColumnStream {
  readonly #file: SourceFile;
  readonly #column: ParquetColumn;
  #chunk = -1;
  #state: ChunkState | undefined;
  /** Where the next page begins, and where its chunk ends. */
  #at = 0;
  #end = 0;
  #page: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(file: SourceFile, column: ParquetColumn) {
    this.#file = file;
    this.#column = column;
  }

  get name(): string {
    return this.#column.name;
  }

  get type(): ElementType {
    return this.#column.type;
  }

  /** The values of the next n rows, in a buffer of their own. @throws CORRUPT, UNSUPPORTED, IO */
  async take(n: number): Promise<Uint8Array> {
    const into = new Uint8Array(n * this.#column.width * ELEMENT_BYTES[this.#column.type]);
    for (let done = 0; done < into.length; ) {
      if (this.#used === this.#page.length) {
        this.#page = await this.#nextPage();
        this.#used = 0;
      }
      const piece = Math.min(into.length - done, this.#page.length - this.#used);
      into.set(this.#page.subarray(this.#used, this.#used + piece), done);
      this.#used += piece;
      done += piece;
    }
    return into;
  }

  async #nextPage(): Promise<Uint8Array> {
    let where = this.#at;
    try {
      for (;;) {
        const state = await this.#stateNow();
        where = this.#at;
        const { header, body } = await this.#readPage();
        const values = decodePage(state, header, body);
        if (values && values.length > 0) return values;
      }
    } catch (cause) {
      if (cause instanceof EmbershardError && cause.code !== "UNSUPPORTED") throw cause;
      const { message } = cause as Error;
      const what = `${this.#file.path}: column ${this.#column.name}, the page at byte ${where}`;
      if (cause instanceof EmbershardError) throw new EmbershardError("UNSUPPORTED", `${what}: ${message}`);
      throw new EmbershardError(
        "CORRUPT",
        `${what} ${cause instanceof PageFault ? message : `does not add up: ${message}`}`,
        { cause },
      );
    }
  }

  /** The chunk that the next page is of. */
  async #stateNow(): Promise<ChunkState> {
    while (this.#state === undefined || this.#state.values === this.#state.chunk.values) {
      const chunk = this.#column.chunks[++this.#chunk];
      if (chunk === undefined) throw new PageFault("is missing: there are fewer values than rows");
      const { snappyUncompress } = await import("hyparquet");
      this.#state = {
        column: this.#column,
        chunk,
        snappy: snappyUncompress,
        values: 0,
        dictionary: undefined,
      };
      this.#at = chunk.offset;
      this.#end = chunk.offset + chunk.bytes;
    }
    return this.#state;
  }

  async #readPage() {
    const { parquetHeader } = await import("hyparquet/src/column.js");
    for (const most of HEADER_BYTES) {
      const bytes = await this.#file.read(new Uint8Array(Math.min(most, this.#end - this.#at)), this.#at);
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      let header: ReturnType<typeof parquetHeader>;
      try {
        header = parquetHeader(reader);
      } catch (error) {
        // Cut off, perhaps.
        if (most === HEADER_BYTES[0] && bytes.length === most) continue;
        throw error;
      }
      const length = header.compressed_page_size;
      const begin = this.#at + reader.offset;
      if (!(length >= 0 && begin + length <= this.#end))
        throw new PageFault(`claims ${length} bytes, and ${this.#end - begin} are left of its column`);
      this.#at = begin + length;
      const body = await this.#file.read(new Uint8Array(length), begin);
      return { header, body };
    }
    throw new PageFault("has no header");
  }
}
