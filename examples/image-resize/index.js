'use strict';

const { PNG } = require('pngjs');
const jpeg = require('jpeg-js');

function decode(bytes) {
  if (bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))) {
    return { ...PNG.sync.read(bytes), type: 'image/png' };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    return { ...jpeg.decode(bytes, { maxMemoryUsageInMB: 128 }), type: 'image/jpeg' };
  }
  return null;
}

function encode({ data, width, height, type }) {
  if (type === 'image/jpeg') return jpeg.encode({ data, width, height }, 85).data;
  const png = new PNG({ width, height });
  data.copy(png.data);
  return PNG.sync.write(png);
}

// resize gives each new pixel the mean of the old ones that it covers.
function resize(image, width, height) {
  const data = Buffer.alloc(width * height * 4);
  for (let y = 0; y < height; y++) {
    const top = Math.floor((y * image.height) / height);
    const bottom = Math.max(top + 1, Math.floor(((y + 1) * image.height) / height));
    for (let x = 0; x < width; x++) {
      const left = Math.floor((x * image.width) / width);
      const right = Math.max(left + 1, Math.floor(((x + 1) * image.width) / width));
      const sum = [0, 0, 0, 0];
      for (let sy = top; sy < bottom; sy++) {
        for (let sx = left; sx < right; sx++) {
          for (let c = 0; c < 4; c++) sum[c] += image.data[(sy * image.width + sx) * 4 + c];
        }
      }
      const pixels = (bottom - top) * (right - left);
      for (let c = 0; c < 4; c++) data[(y * width + x) * 4 + c] = Math.round(sum[c] / pixels);
    }
  }
  return { data, width, height, type: image.type };
}

exports.handler = async (event) => {
  const width = Number(event.queryStringParameters?.width ?? 200);
  if (!Number.isInteger(width) || width < 1 || width > 4000) {
    return { statusCode: 400, body: { error: 'width is a number from 1 to 4000' } };
  }
  const image = event.body ? decode(Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8')) : null;
  if (!image) return { statusCode: 415, body: { error: 'the body is neither a PNG nor a JPEG' } };
  const height = Math.max(1, Math.round((image.height * width) / image.width));
  const small = resize(image, width, height);
  console.log(`${image.width}x${image.height} to ${width}x${height}`);
  return {
    statusCode: 200,
    headers: { 'content-type': small.type },
    body: encode(small).toString('base64'),
    isBase64Encoded: true,
  };
};
