// A chain of multiplications that nothing can shorten: pure computing.
exports.handler = async () => {
  let x = 1;
  for (let i = 0; i < 100_000; i++) x = (x * 16807) % 2147483647;
  return { statusCode: 200, body: String(x) };
};
