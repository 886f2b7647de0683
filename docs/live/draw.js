// What the page draws with, besides the bars, the plot and the numbers of the widgets: images.
const { writeNumber } = tmWidgets;

const findOne = (selector, inside = document) => inside.querySelector(selector);
const findAll = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const argmax = (values) => values.indexOf(Math.max(...values));
const formatPrediction = (outputs) => `${argmax(outputs)} (${writeNumber(Math.exp(Math.max(...outputs)))})`;

// Draw a grey image (values from 0 to 1, cut off beyond) on a canvas of its size.
function drawImage(canvas, image) {
  paint(canvas, image, (value) => {
    const grey = 255 * Math.min(1, Math.max(0, value));
    return [grey, grey, grey];
  });
}

// Draw a signed change: red where it is positive, blue where it is negative, white where it is zero.
function drawChange(canvas, change) {
  const largest = change.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
  paint(canvas, change, (value) => {
    const size = Math.abs(value) / largest, end = value > 0 ? [178, 24, 43] : [33, 102, 172];
    return end.map((channel) => 255 + size * (channel - 255));
  });
}

function paint(canvas, image, colour) {
  const side = Math.sqrt(image.length), pen = canvas.getContext("2d"), data = pen.createImageData(side, side);
  canvas.width = canvas.height = side;
  image.forEach((value, i) => data.data.set([...colour(value), 255], 4 * i));
  pen.putImageData(data, 0, 0);
}
