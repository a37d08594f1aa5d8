'use strict';

// How many ways there are to put n queens on a board of n by n fields so that
// none can take another; a bit per field that is under attack.
function solutions(n) {
  const all = (1 << n) - 1;
  const place = (columns, left, right) => {
    if (columns === all) return 1;
    let count = 0;
    for (let free = all & ~(columns | left | right); free; free &= free - 1) {
      const bit = free & -free;
      count += place(columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
  };
  return place(0, 0, 0);
}

exports.handler = async (event, context) => {
  const size = Number(event.pathParameters.size);
  if (!Number.isInteger(size) || size < 1 || size > 15) {
    return { statusCode: 400, body: { error: 'the size is a number from 1 to 15' } };
  }
  return { size, solutions: solutions(size), left_ms: context.getRemainingTimeInMillis() };
};
