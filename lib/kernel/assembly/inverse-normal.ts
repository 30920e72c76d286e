/**
 * The x at which a standard normal distribution has reached `p`, 2^-54 < p < 1 - 2^-54; about 1 part in 10^16.
 * Wichura (1988), algorithm AS 241 (PPND16), Applied Statistics 37 (3), doi:10.2307/2347330; Horner's scheme throughout.
 */
export function inverseNormal(p: f64): f64 {
  const q = p - 0.5;
  if (q <= 0.425 && q >= -0.425) {
    const r = 0.180625 - q * q;
    return (
      ((((((((2509.0809287301227 * r + 33430.57558358813) * r + 67265.7709270087) * r + 45921.95393154987) *
        r +
        13731.69376550946) *
        r +
        1971.5909503065513) *
        r +
        133.14166789178438) *
        r +
        3.3871328727963665) *
        q) /
      (((((((5226.495278852854 * r + 28729.085735721943) * r + 39307.89580009271) * r + 21213.794301586597) *
        r +
        5394.196021424751) *
        r +
        687.1870074920579) *
        r +
        42.31333070160091) *
        r +
        1)
    );
  }
  const x = tail(sqrt<f64>(-naturalLog(q <= 0 ? p : 1 - p)));
  return q < 0 ? -x : x;
}

/** inverseNormal of two probabilities at once, the same bits. */
export function inverseNormalPair(p: v128): v128 {
  const q = f64x2.sub(p, f64x2.splat(0.5));
  const r = f64x2.sub(f64x2.splat(0.180625), f64x2.mul(q, q));
  let dividend = f64x2.splat(2509.0809287301227);
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(33430.57558358813));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(67265.7709270087));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(45921.95393154987));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(13731.69376550946));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(1971.5909503065513));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(133.14166789178438));
  dividend = f64x2.add(f64x2.mul(dividend, r), f64x2.splat(3.3871328727963665));
  let divisor = f64x2.splat(5226.495278852854);
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(28729.085735721943));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(39307.89580009271));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(21213.794301586597));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(5394.196021424751));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(687.1870074920579));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(42.31333070160091));
  divisor = f64x2.add(f64x2.mul(divisor, r), f64x2.splat(1));
  const x = f64x2.div(f64x2.mul(dividend, q), divisor);
  const beyond = i64x2.bitmask(f64x2.gt(f64x2.abs(q), f64x2.splat(0.425)));
  if (beyond == 0) return x;
  if (beyond == 1) return f64x2.replace_lane(x, 0, inverseNormal(f64x2.extract_lane(p, 0)));
  const upper = f64x2.replace_lane(x, 1, inverseNormal(f64x2.extract_lane(p, 1)));
  return beyond == 2 ? upper : f64x2.replace_lane(upper, 0, inverseNormal(f64x2.extract_lane(p, 0)));
}

function tail(distance: f64): f64 {
  if (distance <= 5) {
    const r = distance - 1.6;
    return (
      (((((((0.0007745450142783414 * r + 0.022723844989269184) * r + 0.2417807251774506) * r +
        1.2704582524523684) *
        r +
        3.6478483247632045) *
        r +
        5.769497221460691) *
        r +
        4.630337846156546) *
        r +
        1.4234371107496835) /
      (((((((1.0507500716444169e-9 * r + 0.0005475938084995345) * r + 0.015198666563616457) * r +
        0.14810397642748008) *
        r +
        0.6897673349851) *
        r +
        1.6763848301838038) *
        r +
        2.053191626637759) *
        r +
        1)
    );
  }
  const r = distance - 5;
  return (
    (((((((2.0103343992922881e-7 * r + 2.7115555687434876e-5) * r + 0.0012426609473880784) * r +
      0.026532189526576124) *
      r +
      0.29656057182850487) *
      r +
      1.7848265399172913) *
      r +
      5.463784911164114) *
      r +
      6.657904643501103) /
    (((((((2.0442631033899397e-15 * r + 1.421511758316446e-7) * r + 1.8463183175100548e-5) * r +
      0.0007868691311456133) *
      r +
      0.014875361290850615) *
      r +
      0.1369298809227358) *
      r +
      0.599832206555888) *
      r +
      1)
  );
}

/**
 * The natural logarithm of a normal number > 0 from exactly rounded operations: x = 2^e m with m in (sqrt(1/2), sqrt(2)],
 * ln m = 2 artanh(s) = 2 s (1 + s^2 / 3 + s^4 / 5 + ... + s^20 / 21), s = (m - 1) / (m + 1), |s| < 0.172.
 */
export function naturalLog(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let exponent = <f64>(<i32>(bits >> 52) - 1023);
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  const s = (m - 1) / (m + 1);
  const z = s * s;
  const sum =
    ((((((((((1.0 / 21.0) * z + 1.0 / 19.0) * z + 1.0 / 17.0) * z + 1.0 / 15.0) * z + 1.0 / 13.0) * z +
      1.0 / 11.0) *
      z +
      1.0 / 9.0) *
      z +
      1.0 / 7.0) *
      z +
      1.0 / 5.0) *
      z +
      1.0 / 3.0) *
      z +
    1.0;
  return exponent * 0.6931471805599453 + 2 * s * sum;
}
