// The product of two matrices in float64, as a WebAssembly module that is assembled here, instruction by instruction.
//
// createProduct(bytes) returns
//   memory    the module's memory, of at least so many bytes; all matrices lie in it
//   multiply  (c, a, b, m, n, k, aRow, aColumn, bRow, cRow, add): C = A B, or C += A B where add is 1
//
// C is m x n, A is m x k and B is k x n; m and n are multiples of 4. c, a, b are addresses; the strides are in bytes as
// well. A has a stride for each of its axes, so that it can be read transposed. The rows of B and C are contiguous.
//
// C is computed in tiles of 4 x 4, whose 8 accumulators of two numbers each fit into the registers of a processor:
//
//   for j = 0, 4, ... < n
//     for i = 0, 4, ... < m
//       tile = 0
//       for p = 0, 1, ... < k: tile += A[i..i+3, p] B[p, j..j+3]
//       C[i..i+3, j..j+3] = tile, or += tile
function createProduct(bytes) {
  const PARAMETERS = ["c", "a", "b", "m", "n", "k", "aRow", "aColumn", "bRow", "cRow", "add"]; // integers
  const COUNTERS = ["i", "j", "p", "pa", "pb", "pc", "row"]; // integers
  const TILE = ["t00", "t01", "t10", "t11", "t20", "t21", "t30", "t31"]; // two numbers each: row, half
  const VECTORS = [...TILE, "b0", "b1", "s"];
  const locals = [...PARAMETERS, ...COUNTERS, ...VECTORS];

  const INTEGER = 0x7f, VECTOR = 0x7b, NOTHING = 0x40;
  const unsigned = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]);
  const get = (name) => [0x20, locals.indexOf(name)];
  const set = (name) => [0x21, locals.indexOf(name)];
  const constant = (value) => [0x41, value]; // from 0 to 63
  const sum = [0x6a], times = [0x6c], lessThan = [0x49];
  const simd = (code, ...rest) => [0xfd, ...unsigned(code), ...rest];
  const loadPair = (offset) => simd(0, 3, offset); // two numbers at the address plus an offset
  const loadTwice = simd(10, 3, 0); // one number, in both halves
  const storePair = (offset) => simd(11, 3, offset);
  const zeroPair = simd(12, ...new Array(16).fill(0));
  const addPairs = simd(0xf0), multiplyPairs = simd(0xf2);
  const increase = (name, by) => [...get(name), ...by, ...sum, ...set(name)];
  // A loop whose body runs at least once, for counter = 0, step, ... < end.
  const loop = (counter, end, step, body) => [
    ...constant(0), ...set(counter), 0x03, NOTHING, ...body,
    ...increase(counter, constant(step)), ...get(counter), ...get(end), ...lessThan, 0x0d, 0, 0x0b,
  ];
  const address = (base, index, stride) => [...get(base), ...get(index), ...stride, ...times, ...sum];
  const rows = [0, 1, 2, 3];

  // One row of the tile: its number of A times both pairs of B. The address in "row" then goes to the next row of A.
  const multiplyRow = (r) => [
    ...get("row"), ...loadTwice, ...set("s"),
    ...[0, 1].flatMap((half) => {
      const tile = `t${r}${half}`;
      return [...get("s"), ...get(`b${half}`), ...multiplyPairs, ...get(tile), ...addPairs, ...set(tile)];
    }),
    ...(r < 3 ? increase("row", get("aRow")) : []),
  ];
  const addOld = (r) => [0, 1].flatMap((half) => {
    const tile = `t${r}${half}`;
    return [...get("row"), ...loadPair(16 * half), ...get(tile), ...addPairs, ...set(tile)];
  });
  const store = (r) => [0, 1].flatMap((half) => [...get("row"), ...get(`t${r}${half}`), ...storePair(16 * half)]);
  const overRows = (act) => [
    ...get("pc"), ...set("row"), ...rows.flatMap((r) => [...act(r), ...(r < 3 ? increase("row", get("cRow")) : [])]),
  ];

  const instructions = loop("j", "n", 4, loop("i", "m", 4, [
    ...TILE.flatMap((tile) => [...zeroPair, ...set(tile)]),
    ...address("a", "i", get("aRow")), ...set("pa"),
    ...address("b", "j", constant(8)), ...set("pb"),
    ...address("c", "i", get("cRow")), ...get("j"), ...constant(8), ...times, ...sum, ...set("pc"),
    ...loop("p", "k", 1, [
      ...get("pb"), ...loadPair(0), ...set("b0"), ...get("pb"), ...loadPair(16), ...set("b1"),
      ...get("pa"), ...set("row"), ...rows.flatMap(multiplyRow),
      ...increase("pa", get("aColumn")), ...increase("pb", get("bRow")),
    ]),
    ...get("add"), 0x04, NOTHING, ...overRows(addOld), 0x0b, // if add is not 0
    ...overRows(store),
  ]));

  // The module: the type of the function, the memory that is imported, the export, and the code.
  const section = (id, ...content) => [id, ...unsigned(content.length), ...content];
  const name = (text) => [text.length, ...[...text].map((letter) => letter.charCodeAt(0))];
  const pages = Math.ceil(bytes / 65536);
  const body = [2, COUNTERS.length, INTEGER, VECTORS.length, VECTOR, ...instructions, 0x0b];
  const code = new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "asm", version 1
    ...section(1, 1, 0x60, PARAMETERS.length, ...PARAMETERS.map(() => INTEGER), 0),
    ...section(2, 1, ...name("page"), ...name("memory"), 2, 0, ...unsigned(pages)),
    ...section(3, 1, 0),
    ...section(7, 1, ...name("multiply"), 0, 0),
    ...section(10, 1, ...unsigned(body.length), ...body),
  ]);

  const memory = new WebAssembly.Memory({ initial: pages });
  if (!WebAssembly.validate(code)) throw new Error("This browser has no WebAssembly SIMD; any since 2023 has it.");
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { page: { memory } });
  return { memory, multiply: instance.exports.multiply };
}
