// A Vision Transformer classifier as a map from the pixels of an image to its log-probabilities, in float64, with the
// derivatives that walks need, by reverse mode.
//
// createModel(config, processor, weights, createProduct) takes a checkpoint's config.json and preprocessor_config.json,
// and its weights by the names of the checkpoint: weights[name] is an array of numbers. It returns
//   outputs(image)            the log-probabilities (classes)
//   pullBack(image, rows)     one gradient per row of the array (m x classes): the derivative of that combination of
//                             the outputs by each pixel, an array (m x pixels)
//   classes, pixels, shape    how many outputs, how many numbers in an image, and its [channels, height, width]
//   names                     of the classes
// An image is an array of channels x height x width numbers, 0 for black and 1 for white.
//
// Rows are tokens: first [CLS], then the patches. The number of rows is rounded up to a multiple of 4 for the products;
// the attention does not look at the rows in excess, so that they change nothing. In the last layer only [CLS] is
// needed, so that its products have 4 rows.
function createModel(config, processor, weights, createProduct) {
  checkConfig(config, processor);
  const even = (count) => 4 * Math.ceil(count / 4); // the products take multiples of 4
  const side = config.image_size, patch = config.patch_size, channels = config.num_channels;
  const grid = Math.floor(side / patch), pixels = channels * side * side;
  const width = config.hidden_size, inner = config.intermediate_size, layers = config.num_hidden_layers;
  const heads = config.num_attention_heads, headWidth = width / heads;
  const names = Object.keys(config.id2label).sort((a, b) => a - b).map((key) => config.id2label[key]);
  const classes = names.length, logits = even(classes);
  const tokens = 1 + grid * grid, rows = even(tokens);
  const patchPixels = even(channels * patch * patch);

  // -- memory: all matrices have an address in one array, counted in numbers
  let size = 0;
  const reserve = (count) => (size += even(count)) - even(count);
  const matrix = (inputs, outputs) => ({ inputs, outputs, forward: reserve(inputs * outputs),
    backward: reserve(inputs * outputs), bias: reserve(outputs) });
  const normalised = (count) => ({ values: reserve(count * width), scale: reserve(count) });

  const patches = reserve(rows * patchPixels), positions = reserve(rows * width), x = reserve(rows * width);
  const embedding = matrix(patchPixels, width), classifier = matrix(width, logits), last = normalised(4);
  const blocks = Array.from({ length: layers }, () => ({
    first: normalised(rows), second: normalised(rows),
    qkv: matrix(width, 3 * width), project: matrix(width, width), expand: matrix(width, inner),
    contract: matrix(inner, width),
    states: reserve(rows * 3 * width), // queries, keys and values, side by side
    keysT: reserve(width * rows), valuesT: reserve(width * rows),
    attention: reserve(heads * rows * rows), slope: reserve(rows * inner),
  }));
  const gradient = reserve(rows * width), wide = reserve(rows * inner), mixed = reserve(rows * width);
  const change = reserve(rows * rows), changes = reserve(rows * 3 * width), scores = reserve(4 * logits);

  const product = createProduct(8 * size);
  const memory = new Float64Array(product.memory.buffer);
  const gelu = createGelu();
  const multiply = (c, a, b, m, n, k, aRow, bRow, cRow, add) =>
    product.multiply(8 * c, 8 * a, 8 * b, m, n, k, 8 * aRow, 8, 8 * bRow, 8 * cRow, add);
  const multiplyTransposed = (c, a, b, m, n, k, aRow, bRow, cRow) => // the transpose of A, times B
    product.multiply(8 * c, 8 * a, 8 * b, m, n, k, 8, 8 * aRow, 8 * bRow, 8 * cRow, 0);
  const zero = (at, count) => memory.fill(0, at, at + count);

  // -- weights: what stands before a layer (scale and shift of a normalisation, of the pixels) is multiplied into it
  // One matrix from several: parts are [weight (outputs x inputs), bias, factor]; input i is scaled and shifted first.
  function place(target, parts, scale, shift) {
    let column = 0;
    for (const [weight, bias, factor] of parts) {
      const inputs = scale.length;
      for (let o = 0; o < bias.length; o++, column++) {
        let constant = bias[o];
        for (let i = 0; i < inputs; i++) {
          const value = weight[o * inputs + i];
          constant += value * shift[i];
          memory[target.forward + i * target.outputs + column] = factor * value * scale[i];
          memory[target.backward + column * target.inputs + i] = factor * value * scale[i];
        }
        memory[target.bias + column] = factor * constant;
      }
    }
  }

  const array = (name) => {
    if (!weights[name]) throw new Error(`The weights lack ${name}.`);
    return weights[name];
  };
  const linear = (name, factor = 1) => [array(`${name}.weight`), array(`${name}.bias`), factor];
  const plain = (count) => [new Float64Array(count).fill(1), new Float64Array(count)];
  const norm = (name) => [array(`${name}.weight`), array(`${name}.bias`)];

  function readWeights() {
    const perPixel = (values) => Float64Array.from({ length: channels * patch * patch },
      (_, i) => values[Math.floor(i / (patch * patch)) % values.length]);
    const range = processor.image_std.map((std) => (255 * processor.rescale_factor) / std);
    const black = processor.image_mean.map((mean, i) => -mean / processor.image_std[i]);
    const projection = linear("vit.embeddings.patch_embeddings.projection");
    place(embedding, [projection], perPixel(range), perPixel(black));
    const position = array("vit.embeddings.position_embeddings"), start = array("vit.embeddings.cls_token");
    for (let i = 0; i < tokens * width; i++)
      memory[positions + i] = position[i] + (i < width ? start[i] : memory[embedding.bias + (i % width)]);
    blocks.forEach((block, index) => {
      const name = `vit.encoder.layer.${index}`, attention = `${name}.attention.attention`;
      place(block.qkv, [linear(`${attention}.query`, 1 / Math.sqrt(headWidth)), linear(`${attention}.key`),
        linear(`${attention}.value`)], ...norm(`${name}.layernorm_before`));
      place(block.project, [linear(`${name}.attention.output.dense`)], ...plain(width));
      place(block.expand, [linear(`${name}.intermediate.dense`)], ...norm(`${name}.layernorm_after`));
      place(block.contract, [linear(`${name}.output.dense`)], ...plain(inner));
    });
    place(classifier, [linear("classifier")], ...norm("vit.layernorm"));
  }

  // -- pieces of both passes
  // Y = X W + bias, or Y += X W + bias.
  function apply(matrix, input, output, count, add = 0) {
    const { inputs, outputs, bias } = matrix;
    for (let row = 0; row < count; row++)
      for (let i = 0, at = output + row * outputs; i < outputs; i++)
        memory[at + i] = memory[bias + i] + (add ? memory[at + i] : 0);
    multiply(output, input, matrix.forward, count, outputs, inputs, inputs, outputs, outputs, 1);
  }
  const applyBackward = (matrix, input, output, count) =>
    multiply(output, input, matrix.backward, count, matrix.inputs, matrix.outputs, matrix.outputs, matrix.inputs,
      matrix.inputs, 0);

  // Each row less its mean, divided by its standard deviation; the reciprocal of the latter is kept.
  function normalise(input, { values, scale }, count) {
    for (let row = 0; row < count; row++) {
      const from = input + row * width, to = values + row * width;
      let mean = 0, square = 0;
      for (let i = 0; i < width; i++) mean += memory[from + i] / width;
      for (let i = 0; i < width; i++) square += (memory[from + i] - mean) ** 2 / width;
      const factor = (memory[scale + row] = 1 / Math.sqrt(square + config.layer_norm_eps));
      for (let i = 0; i < width; i++) memory[to + i] = factor * (memory[from + i] - mean);
    }
  }
  // Add the gradient by the input of a normalisation, from the gradient by its output.
  function addNormaliseBackward(input, { values, scale }, output, count) {
    for (let row = 0; row < count; row++) {
      const at = row * width;
      let mean = 0, along = 0;
      for (let i = 0; i < width; i++) {
        mean += memory[input + at + i] / width;
        along += (memory[input + at + i] * memory[values + at + i]) / width;
      }
      for (let i = 0; i < width; i++)
        memory[output + at + i] +=
          memory[scale + row] * (memory[input + at + i] - mean - along * memory[values + at + i]);
    }
  }
  function softmaxRows(at, count) {
    for (let row = at; row < at + count * rows; row += rows) {
      let largest = -Infinity, total = 0;
      for (let i = 0; i < tokens; i++) largest = Math.max(largest, memory[row + i]);
      for (let i = 0; i < tokens; i++) total += memory[row + i] = Math.exp(memory[row + i] - largest);
      for (let i = 0; i < tokens; i++) memory[row + i] /= total;
      for (let i = tokens; i < rows; i++) memory[row + i] = 0;
    }
  }
  // The gradient by the scores of the attention, in the place of the gradient by its weights.
  function softmaxRowsBackward(at, weightsAt, count) {
    for (let row = 0; row < count * rows; row += rows) {
      let mean = 0;
      for (let i = 0; i < tokens; i++) mean += memory[at + row + i] * memory[weightsAt + row + i];
      for (let i = 0; i < rows; i++) memory[at + row + i] = memory[weightsAt + row + i] * (memory[at + row + i] - mean);
    }
  }
  // Call act with the place of each number of a patch in the image, and in the matrix of patches.
  function overPatches(act) {
    for (let part = 0; part < grid * grid; part++)
      for (let channel = 0, i = 0; channel < channels; channel++)
        for (let dy = 0; dy < patch; dy++)
          for (let dx = 0; dx < patch; dx++, i++) {
            const y = Math.floor(part / grid) * patch + dy, column = (part % grid) * patch + dx;
            act((channel * side + y) * side + column, (part + 1) * patchPixels + i);
          }
  }
  const pixelAt = new Int32Array(pixels).fill(-1); // where a pixel lies among the patches; -1: in a margin, unseen
  overPatches((pixel, place) => (pixelAt[pixel] = place));

  // -- the forward pass
  function attend(block, count) {
    const { states, keysT, valuesT, attention } = block;
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < width; i++) {
        memory[keysT + i * rows + row] = memory[states + row * 3 * width + width + i];
        memory[valuesT + i * rows + row] = memory[states + row * 3 * width + 2 * width + i];
      }
    for (let head = 0; head < heads; head++) {
      const column = head * headWidth, table = attention + head * rows * rows;
      multiply(table, states + column, keysT + column * rows, count, rows, headWidth, 3 * width, rows, rows, 0);
      softmaxRows(table, count);
      multiply(mixed + column, table, states + 2 * width + column, count, headWidth, tokens, rows, 3 * width, width, 0);
    }
  }

  const present = new Float64Array(pixels).fill(NaN), logProbabilities = new Float64Array(classes);
  function run(image) {
    if (image.every((value, i) => value === present[i])) return;
    present.set(image);
    for (let i = 0; i < pixels; i++) if (pixelAt[i] >= 0) memory[patches + pixelAt[i]] = image[i];
    memory.copyWithin(x, positions, positions + rows * width);
    multiply(x, patches, embedding.forward, rows, width, patchPixels, patchPixels, width, width, 1);
    blocks.forEach((block, index) => {
      const count = index === layers - 1 ? 4 : rows;
      normalise(x, block.first, rows);
      apply(block.qkv, block.first.values, block.states, rows);
      attend(block, count);
      apply(block.project, mixed, x, count, 1);
      normalise(x, block.second, count);
      apply(block.expand, block.second.values, wide, count);
      gelu(memory, wide, block.slope, count * inner);
      apply(block.contract, wide, x, count, 1);
    });
    normalise(x, last, 4);
    apply(classifier, last.values, scores, 4);
    const values = memory.subarray(scores, scores + classes), largest = Math.max(...values);
    const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    for (let i = 0; i < classes; i++) logProbabilities[i] = values[i] - largest - total;
  }

  // -- the backward pass, of one combination of the outputs
  function attendBackward(block, count) {
    const { states, valuesT, attention } = block;
    zero(changes, rows * 3 * width);
    for (let head = 0; head < heads; head++) {
      const column = head * headWidth, table = attention + head * rows * rows, values = 2 * width + column;
      multiply(change, mixed + column, valuesT + column * rows, count, rows, headWidth, width, rows, rows, 0);
      softmaxRowsBackward(change, table, count);
      multiply(changes + column, change, states + width + column, count, headWidth, tokens, rows, 3 * width,
        3 * width, 0);
      multiplyTransposed(changes + width + column, change, states + column, rows, headWidth, count, rows, 3 * width,
        3 * width);
      multiplyTransposed(changes + values, table, mixed + column, rows, headWidth, count, rows, width, 3 * width);
    }
  }

  function differentiate(combination) {
    const total = combination.reduce((sum, value) => sum + value, 0);
    zero(scores, 4 * logits);
    for (let i = 0; i < classes; i++) memory[scores + i] = combination[i] - total * Math.exp(logProbabilities[i]);
    zero(gradient, rows * width);
    applyBackward(classifier, scores, mixed, 4);
    addNormaliseBackward(mixed, last, gradient, 4);
    for (let index = layers - 1; index >= 0; index--) {
      const block = blocks[index], count = index === layers - 1 ? 4 : rows;
      applyBackward(block.contract, gradient, wide, count);
      for (let i = 0; i < count * inner; i++) memory[wide + i] *= memory[block.slope + i];
      applyBackward(block.expand, wide, mixed, count);
      addNormaliseBackward(mixed, block.second, gradient, count);
      applyBackward(block.project, gradient, mixed, count);
      attendBackward(block, count);
      applyBackward(block.qkv, changes, mixed, rows);
      addNormaliseBackward(mixed, block.first, gradient, rows);
    }
    applyBackward(embedding, gradient, wide, rows);
  }

  function outputs(image) {
    if (image.length !== pixels) throw new Error(`The image has ${image.length} numbers; the model takes ${pixels}.`);
    run(image);
    return logProbabilities.slice();
  }

  function pullBack(image, combinations) {
    outputs(image);
    const count = combinations.length / classes, gradients = new Float64Array(count * pixels);
    for (let row = 0; row < count; row++) {
      differentiate(combinations.slice(row * classes, (row + 1) * classes));
      for (let i = 0; i < pixels; i++)
        if (pixelAt[i] >= 0) gradients[row * pixels + i] = memory[wide + pixelAt[i]];
    }
    return gradients;
  }

  readWeights();
  return { outputs, pullBack, classes, pixels, shape: [channels, side, side], names };

  // What this file computes is one kind of model; another one is refused rather than computed wrongly.
  function checkConfig(config, processor) {
    const wanted = { model_type: "vit", hidden_act: "gelu", qkv_bias: true };
    for (const [key, value] of Object.entries(wanted))
      if (config[key] !== value) throw new Error(`The model's ${key} is ${config[key]}; wanted ${value}.`);
    const flags = ["do_rescale", "do_normalize"].filter((key) => !processor[key]);
    if (flags.length) throw new Error(`The processor lacks ${flags.join(" and ")}.`);
    if (config.hidden_size % (4 * config.num_attention_heads) || config.intermediate_size % 4)
      throw new Error("The widths of the heads and of the inner layer must be multiples of 4.");
    if (config.intermediate_size < config.num_channels * config.patch_size ** 2 + 3)
      throw new Error("The inner layer must be at least as wide as a patch has pixels.");
  }

  // The activation x Phi(x), where Phi is the normal distribution function, and its slope. Phi is read from its Taylor
  // polynomials of degree 5 about points 1/128 apart, whose error is below 1e-16; beyond 9, Phi is 0 or 1.
  function createGelu() {
    const PER_UNIT = 128, FARTHEST = 9, DEGREE = 5, STRIDE = DEGREE + 1;
    const middle = FARTHEST * PER_UNIT, table = new Float64Array((2 * middle + 1) * STRIDE);
    for (let node = -middle; node <= middle; node++) {
      const t = node / PER_UNIT; // derivative j + 1 of Phi is He_j(-t) phi(t), with Hermite's polynomials
      let factor = Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI), before = 0, hermite = 1;
      for (let j = 1; j <= DEGREE; j++) {
        factor /= j;
        table[(node + middle) * STRIDE + j] = factor * hermite;
        [before, hermite] = [hermite, -t * hermite - (j - 1) * before];
      }
    }
    const rise = (at, d) => { // of Phi, from a node to a distance d from it
      let sum = 0;
      for (let j = DEGREE; j > 0; j--) sum = (sum + table[at + j]) * d;
      return sum;
    };
    table[middle * STRIDE] = 0.5;
    for (let step = 1; step <= middle; step++)
      for (const sign of [1, -1]) { // from node to node, half of the way with the polynomial of each
        const at = (middle + sign * step) * STRIDE, last = at - sign * STRIDE, d = sign / (2 * PER_UNIT);
        table[at] = table[last] + rise(last, d) - rise(at, -d);
      }
    return (memory, values, slopes, length) => {
      for (let i = 0; i < length; i++) {
        const value = memory[values + i], node = Math.floor(value * PER_UNIT + 0.5);
        if (node < -middle || node > middle) {
          memory[values + i] = value > 0 ? value : 0;
          memory[slopes + i] = value > 0 ? 1 : 0;
          continue;
        }
        const d = value - node / PER_UNIT, at = (node + middle) * STRIDE;
        const c1 = table[at + 1], c2 = table[at + 2], c3 = table[at + 3], c4 = table[at + 4], c5 = table[at + 5];
        const phi = table[at] + d * (c1 + d * (c2 + d * (c3 + d * (c4 + d * c5))));
        const density = c1 + d * (2 * c2 + d * (3 * c3 + d * (4 * c4 + d * 5 * c5)));
        memory[values + i] = value * phi;
        memory[slopes + i] = phi + value * density;
      }
    };
  }
}

// Read what docs/live.py writes of a checkpoint: returns the first three arguments of createModel.
function readModel({ config, processor, sizes, weights }) {
  const bytes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  let at = 0;
  const named = Object.entries(sizes).map(([name, size]) => [name, numbers.subarray(at, (at += size))]);
  return [config, processor, Object.fromEntries(named)];
}
